#include "io/model/safetensors_writer.hpp"

#include <nlohmann/json.hpp>
#include <vector>

#include "io/error.hpp"
#include "io/files/atomic_file.hpp"
#include "io/model/safetensors_header.hpp"

namespace anchorage::io {
namespace {

using nlohmann::ordered_json;

void check_size(const NamedTensor& named) {
  std::uint64_t bytes = size_of(named.tensor.dtype);
  for (const std::int64_t dimension : named.tensor.shape) bytes *= static_cast<std::uint64_t>(dimension);
  check(bytes == named.tensor.bytes.size(),
        fmt::format("tensor '{}' has {} bytes, its shape needs {}", named.name, named.tensor.bytes.size(), bytes));
}

// The length and the JSON text, padded so that the data begin at a multiple of 8.
std::string header_of(std::span<const NamedTensor> tensors, const std::map<std::string, std::string>& metadata) {
  ordered_json header = ordered_json::object();
  if (!metadata.empty()) header["__metadata__"] = metadata;
  std::uint64_t begin = 0;
  for (const NamedTensor& named : tensors) {
    check_size(named);
    const std::uint64_t end = begin + named.tensor.bytes.size();
    ordered_json entry = {
        {"dtype", name_of(named.tensor.dtype)}, {"shape", named.tensor.shape}, {"data_offsets", {begin, end}}};
    check(header.emplace(named.name, std::move(entry)).second, fmt::format("tensor '{}' given twice", named.name));
    begin = end;
  }
  std::string text = header.dump();
  text.resize((text.size() + 7) / 8 * 8, ' ');
  check(text.size() <= max_safetensors_header, fmt::format("a header of {} bytes is too long", text.size()));
  const std::uint64_t length = text.size();
  return std::string(reinterpret_cast<const char*>(&length), sizeof length) + text;
}

}  // namespace

void write_safetensors(const std::filesystem::path& path, std::span<const NamedTensor> tensors,
                       const std::map<std::string, std::string>& metadata) {
  const std::string header = header_of(tensors, metadata);
  std::vector<std::span<const std::byte>> pieces = {std::as_bytes(std::span(header))};
  for (const NamedTensor& named : tensors) pieces.push_back(named.tensor.bytes);
  write_file_atomically(path, pieces);
}

}  // namespace anchorage::io
