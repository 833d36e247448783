#include "io/run/checkpoint.hpp"

#include <algorithm>
#include <charconv>
#include <set>
#include <span>
#include <string_view>

#include "io/error.hpp"
#include "io/files/sealed_file.hpp"
#include "io/hdf5/file.hpp"
#include "io/model/finite_values.hpp"
#include "io/run/journal/live_segments.hpp"

namespace anchorage::io {
namespace {

const std::string schema = "anchorage-checkpoint/1";

std::filesystem::path file_of(const std::filesystem::path& directory, std::int64_t segment, std::int64_t layer) {
  return directory / fmt::format("seg-{:08d}-layer-{}.h5", segment, layer);
}

// Returns the segment in "seg-00000012-layer-4.h5"; nothing for other names.
std::optional<std::int64_t> segment_of(const std::filesystem::path& path) {
  const std::string name = path.filename().string();
  std::string_view rest = name;
  const auto take_number = [&rest](std::string_view word_before) -> std::optional<std::int64_t> {
    if (!rest.starts_with(word_before)) return std::nullopt;
    rest.remove_prefix(word_before.size());
    std::int64_t number = 0;
    const auto [stop, error] = std::from_chars(rest.data(), rest.data() + rest.size(), number);
    if (error != std::errc()) return std::nullopt;
    rest.remove_prefix(static_cast<std::size_t>(stop - rest.data()));
    return number;
  };
  const auto segment = take_number("seg-");
  const auto layer = segment ? take_number("-layer-") : std::nullopt;
  if (!layer || name != file_of("", *segment, *layer).string()) return std::nullopt;
  return segment;
}

bool is_complete(const std::filesystem::path& directory, std::int64_t segment,
                 const std::vector<std::int64_t>& layers) {
  return std::ranges::all_of(
      layers, [&](std::int64_t layer) { return std::filesystem::exists(file_of(directory, segment, layer)); });
}

void require_finite_weight(const Matrix& weight, const std::filesystem::path& path, const char* remedy) {
  require_finite(weight.values, std::vector{weight.rows, weight.columns}, "a weight", path.string(), remedy);
}

void require_finite_layer(const CheckpointLayer& layer, const std::filesystem::path& path, const char* remedy) {
  require_finite_weight(layer.weight, path, remedy);
  const std::vector systems{layer.system_size, layer.system_size},
      inverses{layer.weight.columns, layer.weight.columns};
  require_finite(layer.system, systems, "a system of least squares", path.string(), remedy);
  require_finite(layer.inverse, inverses, "an inverse of least squares", path.string(), remedy);
}

constexpr const char* look_at_batches = "look at the last batches: the weights have run away";
constexpr const char* remove_cache = "remove the folder of checkpoints: without them the journal is replayed";

// Says what is wrong with one of the checkpoint's files, or nothing.
std::optional<DamagedCheckpoint> damage_of(const std::filesystem::path& directory, const JournalEntry& entry,
                                           const std::vector<std::int64_t>& layers) {
  for (const std::int64_t layer : layers) {
    const auto path = file_of(directory, entry.header.batch, layer);
    try {
      std::string diagnostic = read_seal(path).diagnostic;
      if (diagnostic.empty() && hdf5::File::open(path).root().text_attribute("digest") != entry.digest)
        diagnostic = "it is of another segment with this number";
      if (!diagnostic.empty()) return DamagedCheckpoint{path, diagnostic};
    } catch (const UserError& error) {
      return DamagedCheckpoint{path, error.what()};
    }
  }
  return std::nullopt;
}

// Whether the state at the journal's end continues from that of the segment.
bool continues_from(const Journal& journal, std::int64_t segment) {
  const std::int64_t last = last_live_segment(journal, segment);
  if (last == 0) return true;
  const auto live = live_segments_from(journal, last);
  return !live.empty() && live.front().header.batch == last;
}

}  // namespace

std::vector<std::int64_t> edited_layers(const Journal& journal) {
  const auto base = SegmentReader(journal.list().at(0).path).base();
  check(base.has_value(), "a journal that does not begin with its base");
  std::vector<std::int64_t> layers;
  for (const BaseLayer& layer : base->layers) layers.push_back(layer.layer);
  return layers;
}

void write_checkpoint_layer(const std::filesystem::path& directory, std::int64_t segment, const std::string& digest,
                            const CheckpointLayer& layer) {
  const auto path = file_of(directory, segment, layer.layer);
  const std::int64_t f = layer.weight.columns, r = layer.system_size;
  require_finite_layer(layer, path, look_at_batches);
  hdf5::NewFile content(path);
  content.root().set_attribute("schema", schema);
  content.root().set_attribute("segment", segment);
  content.root().set_attribute("digest", digest);
  content.root().write("weight", layer.weight);
  content.root().write("system", std::span<const double>(layer.system), {r, r});
  content.root().write("inverse", std::span<const double>(layer.inverse), {f, f});
  write_sealed(path, content.bytes(), IfExists::replace);
}

CheckpointLayer read_checkpoint_layer(const std::filesystem::path& directory, std::int64_t segment,
                                      std::int64_t layer) {
  const auto path = file_of(directory, segment, layer);
  const auto file = hdf5::File::open(path);
  CheckpointLayer read{.layer = layer,
                       .weight = file.root().read_matrix("weight", hdf5::any, hdf5::any),
                       .system_size = file.root().shape("system").at(0),
                       .system = {},
                       .inverse = {}};
  read.system = file.root().read<double>("system", {read.system_size, read.system_size});
  read.inverse = file.root().read<double>("inverse", {read.weight.columns, read.weight.columns});
  require_finite_layer(read, path, remove_cache);
  return read;
}

Matrix read_checkpoint_weight(const std::filesystem::path& directory, std::int64_t segment, std::int64_t layer) {
  const auto path = file_of(directory, segment, layer);
  Matrix weight = hdf5::File::open(path).root().read_matrix("weight", hdf5::any, hdf5::any);
  require_finite_weight(weight, path, remove_cache);
  return weight;
}

std::vector<std::int64_t> checkpointed_segments(const std::filesystem::path& directory) {
  std::set<std::int64_t> segments;
  std::error_code error;
  for (const auto& entry : std::filesystem::directory_iterator(directory, error)) {
    if (const auto segment = segment_of(entry.path())) segments.insert(*segment);
  }
  return {segments.begin(), segments.end()};
}

CheckpointChoice newest_checkpoint(const std::filesystem::path& directory, const Journal& journal,
                                   const std::vector<std::int64_t>& layers) {
  CheckpointChoice choice;
  auto segments = checkpointed_segments(directory);
  std::ranges::reverse(segments);
  for (const std::int64_t segment : segments) {
    if (segment >= std::ssize(journal.list()) || !is_complete(directory, segment, layers)) continue;
    if (!continues_from(journal, segment)) continue;
    auto damage = damage_of(directory, journal.list()[static_cast<std::size_t>(segment)], layers);
    if (!damage) {
      choice.segment = segment;
      return choice;
    }
    choice.damaged.push_back(std::move(*damage));
  }
  return choice;
}

void remove_old_checkpoints(const std::filesystem::path& directory, const std::vector<std::int64_t>& layers,
                            std::size_t keep) {
  auto segments = checkpointed_segments(directory);
  std::ranges::reverse(segments);
  std::size_t complete = 0;
  std::error_code ignored;  // what cannot be removed now may be removed next time
  for (const std::int64_t segment : segments) {
    if (complete < keep) {
      complete += is_complete(directory, segment, layers) ? 1 : 0;
      continue;
    }
    for (const std::int64_t layer : layers) std::filesystem::remove(file_of(directory, segment, layer), ignored);
  }
}

}  // namespace anchorage::io
