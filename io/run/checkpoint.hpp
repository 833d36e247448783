// Weight checkpoints: the result of replaying the journal up to a segment, kept so that resuming is quick.
// They are a cache: a run works without any, ignores a damaged one, and gives the same bits with any or none.
//
// A checkpoint is one sealed HDF5 file per edited layer, checkpoint/seg-<segment>-layer-<n>.h5, written by
// the layer's owner; it is whole when all of these files exist:
//
//   /   attributes schema, segment, digest (SHA-256 of the segment); weight [d, f] f32, system [r, r] f64,
//       inverse [f, f] f64
#pragma once

#include <cstdint>
#include <filesystem>
#include <optional>
#include <string>
#include <vector>

#include "io/matrix.hpp"
#include "io/run/journal/journal.hpp"

namespace anchorage::io {

// The state of one edited layer: the master of its weight, and its least squares
// (worker/editing/update/least_squares.hpp).
struct CheckpointLayer {
  std::int64_t layer = 0;
  Matrix weight;  // [d, f]
  std::int64_t system_size = 0;
  std::vector<double> system;   // [r, r]
  std::vector<double> inverse;  // [f, f]

  bool operator==(const CheckpointLayer&) const = default;
};

// Returns the layers for which a checkpoint of this run has files: those that its base segment names.
std::vector<std::int64_t> edited_layers(const Journal& journal);

// Writes the layer's file atomically. Throws UserError where a number is not finite, SystemError when the
// disk refuses.
void write_checkpoint_layer(const std::filesystem::path& directory, std::int64_t segment, const std::string& digest,
                            const CheckpointLayer& layer);

// Reads the layer's file and relies on HDF5's checksums; `newest_checkpoint` checks the whole file. Throws
// UserError where a number is not finite.
CheckpointLayer read_checkpoint_layer(const std::filesystem::path& directory, std::int64_t segment,
                                      std::int64_t layer);
// Reads only the layer's weight.
Matrix read_checkpoint_weight(const std::filesystem::path& directory, std::int64_t segment, std::int64_t layer);

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
