// Weight checkpoints: the result of replaying the journal up to a segment, kept so that resuming is quick.
// They are a cache: a run works without any, ignores a damaged one, and gives the same bits with any or none.
//
// A checkpoint is one sealed HDF5 file per edited layer, checkpoint/seg-<segment>-layer-<n>.h5, and one per slab of
// rows of its least squares, ...-layer-<n>-rows-<first row>.h5, each written by a rank that has it; it is whole
// when all of these files exist:
//
//   /   attributes schema, segment, digest (SHA-256 of the segment)
//       of a layer: attribute fresh_drift; weight [d, f] f32, image [f] f64, slabs [n] i64: their first rows
//       of a slab: inverse [rows, f] f64
//
// Checkpoints of schema 1, one file per layer with A and P whole, are not read: the journal is replayed.
#pragma once

#include <cstdint>
#include <filesystem>
#include <optional>
#include <span>
#include <string>
#include <vector>

#include "io/matrix.hpp"
#include "io/run/journal/journal.hpp"

namespace anchorage::io {

// Which segment a checkpoint is of.
struct CheckpointName {
  std::filesystem::path directory;
  std::int64_t segment = 0;
  std::string digest;  // of the segment
};

// The state of one edited layer without its slabs: the master of its weight, and what its least squares carry along
// (worker/editing/update/least_squares.hpp).
struct CheckpointLayer {
  std::int64_t layer = 0;
  Matrix weight;              // [d, f]
  std::vector<double> image;  // [f]
  double fresh_drift = 0;
  std::vector<std::int64_t> slabs;  // their first rows

  bool operator==(const CheckpointLayer&) const = default;
};

// The same, borrowed: what a layer's file is written from.
struct CheckpointLayerView {
  CheckpointLayerView() = default;
  CheckpointLayerView(const CheckpointLayer& whole);

  std::int64_t layer = 0;
  std::span<const float> weight;  // [d, f]
  std::span<const double> image;  // [f]
  double fresh_drift = 0;
  std::span<const std::int64_t> slabs;
};

// Returns the layers for which a checkpoint of this run has files: those that its base segment names.
std::vector<std::int64_t> edited_layers(const Journal& journal);

// Write the file of a layer, and of a slab [rows, f], atomically. Throw UserError where a number is not finite,
// SystemError when the disk refuses.
void write_checkpoint_layer(const CheckpointName& checkpoint, const CheckpointLayerView& layer);
void write_checkpoint_slab(const CheckpointName& checkpoint, std::int64_t layer, std::int64_t first_row,
                           std::span<const double> inverse, std::int64_t width);

// Reads the layer's file and relies on HDF5's checksums; `newest_checkpoint` checks the whole file. Throws
// UserError where a number is not finite.
CheckpointLayer read_checkpoint_layer(const std::filesystem::path& directory, std::int64_t segment,
                                      std::int64_t layer);
// Reads a slab's rows of the inverse, [rows, f].
std::vector<double> read_checkpoint_slab(const std::filesystem::path& directory, std::int64_t segment,
                                         std::int64_t layer, std::int64_t first_row, std::int64_t rows,
                                         std::int64_t width);

// Returns the segments that have a checkpoint, whole or not, ascending.
std::vector<std::int64_t> checkpointed_segments(const std::filesystem::path& directory);

// A checkpoint that cannot be used, and why.
struct DamagedCheckpoint {
  std::filesystem::path path;
  std::string diagnostic;
};

struct CheckpointChoice {
  std::optional<std::int64_t> segment;     // the newest one to resume from
  std::vector<DamagedCheckpoint> damaged;  // newer ones that are cut off or altered
};

// Finds the newest checkpoint whose files are sound for all these layers and whose segment leads to the state
// at the journal's end; skips checkpoints of segments that were rolled back.
CheckpointChoice newest_checkpoint(const std::filesystem::path& directory, const Journal& journal,
                                   const std::vector<std::int64_t>& layers);

// Keeps the `keep` newest checkpoints that have all these layers, and removes everything older.
void remove_old_checkpoints(const std::filesystem::path& directory, const std::vector<std::int64_t>& layers,
                            std::size_t keep);

}  // namespace anchorage::io
