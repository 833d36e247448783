#include "io/run/checkpoint.hpp"

#include <algorithm>
#include <charconv>
#include <functional>
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

const std::string checkpoint_schema = "anchorage-checkpoint/2";

std::filesystem::path file_of(const std::filesystem::path& directory, std::int64_t segment, std::int64_t layer) {
  return directory / fmt::format("seg-{:08d}-layer-{}.h5", segment, layer);
}

std::filesystem::path file_of(const std::filesystem::path& directory, std::int64_t segment, std::int64_t layer,
                              std::int64_t first_row) {
  return directory / fmt::format("seg-{:08d}-layer-{}-rows-{}.h5", segment, layer, first_row);
}

// Returns the segment in "seg-00000012-layer-4.h5" and "seg-00000012-layer-4-rows-2048.h5"; nothing for other
// names.
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
  if (!layer) return std::nullopt;
  const auto row = take_number("-rows-");
  const auto expected = row ? file_of("", *segment, *layer, *row) : file_of("", *segment, *layer);
  if (name != expected.string()) return std::nullopt;
  return segment;
}

// Returns all files of a checkpoint, as the files of its layers list them; nothing where one is missing. The file
// of a layer that cannot be read stands for itself: `damage_of` says what is wrong with it.
std::optional<std::vector<std::filesystem::path>> files_of(const std::filesystem::path& directory,
                                                           std::int64_t segment,
                                                           const std::vector<std::int64_t>& layers) {
  std::vector<std::filesystem::path> files;
  for (const std::int64_t layer : layers) {
    files.push_back(file_of(directory, segment, layer));
    if (!std::filesystem::exists(files.back())) return std::nullopt;
    try {
      const auto file = hdf5::File::open(files.back());
      if (file.root().text_attribute("schema") != checkpoint_schema) continue;
      for (const std::int64_t row : file.root().read<std::int64_t>("slabs", {hdf5::any}))
        files.push_back(file_of(directory, segment, layer, row));
    } catch (const UserError&) {
      continue;
    }
  }
  if (!std::ranges::all_of(files, [](const auto& file) { return std::filesystem::exists(file); }))
    return std::nullopt;
  return files;
}

// Returns the shape [d, f] of the layer's weight.
std::vector<std::int64_t> shape_of(const CheckpointLayerView& layer) {
  const std::int64_t width = std::ssize(layer.image);
  check(width > 0 && std::ssize(layer.weight) % width == 0, "a checkpoint's weight has the width of its image");
  return {std::ssize(layer.weight) / width, width};
}

void require_finite_layer(const CheckpointLayerView& layer, const std::filesystem::path& path, const char* remedy) {
  require_finite(layer.weight, shape_of(layer), "a weight", path.string(), remedy);
  require_finite(layer.image, std::vector{std::ssize(layer.image)}, "an image of least squares", path.string(),
                 remedy);
}

void require_finite_slab(std::span<const double> inverse, std::int64_t width, const std::filesystem::path& path,
                         const char* remedy) {
  const std::vector shape{std::ssize(inverse) / width, width};
  require_finite(inverse, shape, "an inverse of least squares", path.string(), remedy);
}

constexpr const char* look_at_batches = "look at the last batches: the weights have run away";
constexpr const char* remove_cache = "remove the folder of checkpoints: without them the journal is replayed";

// Says what is wrong with one of the checkpoint's files, or nothing.
std::optional<DamagedCheckpoint> damage_of(const JournalEntry& entry,
                                           const std::vector<std::filesystem::path>& files) {
  for (const auto& path : files) {
    try {
      std::string diagnostic = read_seal(path).diagnostic;
      if (diagnostic.empty()) {
        const auto file = hdf5::File::open(path);
        if (file.root().text_attribute("digest") != entry.digest)
          diagnostic = "it is of another segment with this number";
        if (file.root().text_attribute("schema") != checkpoint_schema)
          diagnostic = "it was written by another version";
      }
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

namespace {

void write_file(const std::filesystem::path& path, const CheckpointName& checkpoint, std::size_t data_bytes,
                const std::function<void(hdf5::Group&)>& write) {
  hdf5::NewFile content(path, data_bytes);
  content.root().set_attribute("schema", checkpoint_schema);
  content.root().set_attribute("segment", checkpoint.segment);
  content.root().set_attribute("digest", checkpoint.digest);
  write(content.root());
  write_sealed(path, content.bytes(), IfExists::replace);
}

}  // namespace

CheckpointLayerView::CheckpointLayerView(const CheckpointLayer& whole)
    : layer(whole.layer),
      weight(whole.weight.values),
      image(whole.image),
      fresh_drift(whole.fresh_drift),
      slabs(whole.slabs) {}

void write_checkpoint_layer(const CheckpointName& checkpoint, const CheckpointLayerView& layer) {
  const auto path = file_of(checkpoint.directory, checkpoint.segment, layer.layer);
  require_finite_layer(layer, path, look_at_batches);
  write_file(path, checkpoint, layer.weight.size_bytes(), [&](hdf5::Group& root) {
    root.set_attribute("fresh_drift", layer.fresh_drift);
    root.write("weight", layer.weight, shape_of(layer));
    root.write("image", layer.image, {std::ssize(layer.image)});
    root.write("slabs", layer.slabs, {std::ssize(layer.slabs)});
  });
}

void write_checkpoint_slab(const CheckpointName& checkpoint, std::int64_t layer, std::int64_t first_row,
                           std::span<const double> inverse, std::int64_t width) {
  const auto path = file_of(checkpoint.directory, checkpoint.segment, layer, first_row);
  require_finite_slab(inverse, width, path, look_at_batches);
  write_file(path, checkpoint, inverse.size_bytes(), [&](hdf5::Group& root) {
    root.write("inverse", inverse, {std::ssize(inverse) / width, width});
  });
}

CheckpointLayer read_checkpoint_layer(const std::filesystem::path& directory, std::int64_t segment,
                                      std::int64_t layer) {
  const auto path = file_of(directory, segment, layer);
  const auto file = hdf5::File::open(path);
  CheckpointLayer read{.layer = layer,
                       .weight = file.root().read_matrix("weight", hdf5::any, hdf5::any),
                       .image = {},
                       .fresh_drift = file.root().real_attribute("fresh_drift"),
                       .slabs = file.root().read<std::int64_t>("slabs", {hdf5::any})};
  read.image = file.root().read<double>("image", {read.weight.columns});
  require_finite_layer(read, path, remove_cache);
  return read;
}

std::vector<double> read_checkpoint_slab(const std::filesystem::path& directory, std::int64_t segment,
                                         std::int64_t layer, std::int64_t first_row, std::int64_t rows,
                                         std::int64_t width) {
  const auto path = file_of(directory, segment, layer, first_row);
  auto inverse = hdf5::File::open(path).root().read<double>("inverse", {rows, width});
  require_finite_slab(inverse, width, path, remove_cache);
  return inverse;
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
    if (segment >= std::ssize(journal.list())) continue;
    const auto files = files_of(directory, segment, layers);
    if (!files || !continues_from(journal, segment)) continue;
    auto damage = damage_of(journal.list()[static_cast<std::size_t>(segment)], *files);
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
  std::set<std::int64_t> old;
  for (const std::int64_t segment : segments) {
    if (complete >= keep) old.insert(segment);
    if (complete < keep && files_of(directory, segment, layers)) ++complete;
  }
  std::vector<std::filesystem::path> files;
  std::error_code ignored;  // what cannot be removed now may be removed next time
  for (const auto& entry : std::filesystem::directory_iterator(directory, ignored)) {
    const auto segment = segment_of(entry.path());
    if (segment && old.contains(*segment)) files.push_back(entry.path());
  }
  for (const auto& file : files) std::filesystem::remove(file, ignored);
}

}  // namespace anchorage::io
