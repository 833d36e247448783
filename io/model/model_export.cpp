#include "io/model/model_export.hpp"

#include <fmt/ranges.h>

#include <algorithm>
#include <cmath>
#include <set>

#include "io/error.hpp"
#include "io/files/atomic_file.hpp"
#include "io/files/digest_manifest.hpp"
#include "io/files/staging_directory.hpp"
#include "io/model/float_conversion.hpp"

namespace anchorage::io {
namespace {

namespace fs = std::filesystem;

using Pieces = std::vector<std::span<const std::byte>>;

void check_replacement(const std::string& name, const TensorView& original, const EditedTensor& edited) {
  std::size_t elements = 1;
  for (const std::int64_t dimension : edited.shape) elements *= static_cast<std::size_t>(dimension);
  check(elements == edited.values.size(),
        fmt::format("tensor '{}' has {} values, its shape {}", name, edited.values.size(), elements));
  if (edited.shape == original.shape) return;
  throw UserError({.expected = fmt::format("the shape [{}]", fmt::join(original.shape, ", ")),
                   .found = fmt::format("[{}]", fmt::join(edited.shape, ", ")),
                   .where = fmt::format("the edited tensor '{}'", name),
                   .remedy = "export onto the model that was edited"});
}

void check_finite(const std::string& name, std::span<const float> rounded, const TensorView& original,
                  std::span<const float> values) {
  const auto bad = std::find_if(rounded.begin(), rounded.end(), [](float value) { return !std::isfinite(value); });
  if (bad == rounded.end()) return;
  throw UserError({.expected = fmt::format("values that {} can hold", name_of(original.dtype)),
                   .found = fmt::format("{}", values[static_cast<std::size_t>(bad - rounded.begin())]),
                   .where = fmt::format("the edited tensor '{}'", name),
                   .remedy = "look at the batches that edited it: the weights have run away"});
}

RoundingReport compare(std::span<const float> before, std::span<const float> wanted,
                       std::span<const float> rounded) {
  RoundingReport report{.values = static_cast<std::int64_t>(before.size())};
  for (std::size_t i = 0; i < before.size(); ++i) {
    report.edited += wanted[i] != before[i] ? 1 : 0;
    report.kept += rounded[i] != before[i] ? 1 : 0;
  }
  return report;
}

// An edited tensor in its stored form.
struct Encoded {
  std::span<const std::byte> original;
  std::vector<std::byte> bytes;
  RoundingReport report;
};

Encoded encode_edited(const std::string& name, const TensorView& original, const EditedTensor& edited) {
  Encoded encoded{.original = original.bytes, .bytes = encode(edited.values, original.dtype), .report = {}};
  const std::vector<float> rounded = decode(encoded.bytes, original.dtype);
  check_finite(name, rounded, original, edited.values);
  encoded.report = compare(decode(original.bytes, original.dtype), edited.values, rounded);
  return encoded;
}

// Returns the file's own bytes, except where a tensor was edited.
Pieces pieces_of(const SafetensorsFile& file, const std::vector<Encoded>& in_place_order) {
  Pieces pieces;
  const std::byte* done = file.bytes().data();
  for (const Encoded& encoded : in_place_order) {
    pieces.emplace_back(done, encoded.original.data());
    pieces.emplace_back(encoded.bytes);
    done = encoded.original.data() + encoded.original.size();
  }
  pieces.emplace_back(done, file.bytes().data() + file.bytes().size());
  return pieces;
}

// Writes a file of weights with its edited tensors; one without any is the base's.
Placement write_weights(const SafetensorsFile& file, const fs::path& to,
                        const std::map<std::string, EditedTensor>& edited, Unchanged unchanged,
                        std::map<std::string, RoundingReport>& reports) {
  std::vector<Encoded> in_place_order;
  for (const StoredTensor& tensor : file.tensors()) {
    const auto replacement = edited.find(tensor.name);
    if (replacement == edited.end()) continue;
    in_place_order.push_back(encode_edited(tensor.name, file.at(tensor.name), replacement->second));
    reports.emplace(tensor.name, in_place_order.back().report);
  }
  if (in_place_order.empty() && unchanged == Unchanged::share) return share_file(file.path(), to);
  write_file_atomically(to, pieces_of(file, in_place_order));
  return in_place_order.empty() ? Placement::copied : Placement::written;
}

// Whether the file holds weights in a format that is not edited here; a copy would hold the unedited model.
bool holds_other_weights(const fs::path& file) {
  static const std::set<std::string> extensions = {".safetensors", ".bin",       ".pt",     ".pth",  ".ckpt",
                                                   ".h5",          ".msgpack",   ".ot",     ".gguf", ".ggml",
                                                   ".onnx",        ".onnx_data", ".tflite", ".npz"};
  return extensions.contains(file.extension()) || file.filename().string().ends_with(".index.json");
}

// What the base says of itself is not true of an edited model.
bool describes_the_base(const fs::path& relative) {
  return relative == "README.md" || relative == digest_manifest_name;
}

bool is_left_out(const fs::directory_entry& entry, const ModelDirectory& base) {
  if (entry.path() == base.weights().index()) return false;
  if (!entry.is_directory()) return holds_other_weights(entry.path());
  return entry.is_symlink() || entry.path().filename().string().starts_with('.');
}

// Copies everything but weights and returns what it left out.
std::vector<fs::path> copy_other_files(const ModelDirectory& base, const fs::path& out) {
  std::set<fs::path> written;
  for (const SafetensorsFile& file : base.weights().files()) written.insert(file.path());
  std::vector<fs::path> left_out;
  for (auto entry = fs::recursive_directory_iterator(base.path()); entry != fs::end(entry); ++entry) {
    if (written.contains(entry->path())) continue;
    const fs::path relative = entry->path().lexically_relative(base.path());
    if (is_left_out(*entry, base) || describes_the_base(relative)) {
      entry.disable_recursion_pending();
      left_out.push_back(relative);
    } else if (entry->is_directory()) {
      make_directories(out / relative);
    } else {
      copy_whole_file(entry->path(), out / relative);
    }
  }
  std::sort(left_out.begin(), left_out.end());
  return left_out;
}

}  // namespace

ExportReport export_model(const ModelDirectory& base, const fs::path& out,
                          const std::map<std::string, EditedTensor>& edited, Unchanged unchanged) {
  for (const auto& [name, replacement] : edited) check_replacement(name, base.weights().at(name), replacement);
  ExportReport report;
  for (const SafetensorsFile& file : base.weights().files()) {
    const fs::path name = file.path().filename();
    report.weights.emplace(name.string(), write_weights(file, out / name, edited, unchanged, report.tensors));
  }
  report.left_out = copy_other_files(base, out);
  return report;
}

}  // namespace anchorage::io
