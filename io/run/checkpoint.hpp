// Weight checkpoints: what replaying the journal up to a segment would make, kept so that resuming is quick. A
// cache: a run works without any, one that is damaged is ignored, and whichever is there, the bits are the same.
//
// A checkpoint is one sealed HDF5 file an edited layer, checkpoint/seg-<segment>-layer-<n>.h5, written by the
// layer's owner; it is whole when all of them are there:
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

// Of one edited layer: the master of its weight, and its least squares (worker/editing/update/least_squares.hpp).
struct CheckpointLayer {
  std::int64_t layer = 0;
  Matrix weight;  // [d, f]
  std::int64_t system_size = 0;
  std::vector<double> system;   // [r, r]
  std::vector<double> inverse;  // [f, f]

  bool operator==(const CheckpointLayer&) const = default;
};

// The layers of which a checkpoint of this run has files: those that its base segment names.
std::vector<std::int64_t> edited_layers(const Journal& journal);

// Writes the layer's file atomically. UserError where a number is not finite, SystemError when the disk refuses.
void write_checkpoint_layer(const std::filesystem::path& directory, std::int64_t segment, const std::string& digest,
                            const CheckpointLayer& layer);

// Relies on HDF5's checksums; `newest_checkpoint` looks at the whole file. UserError where a number is not finite.
CheckpointLayer read_checkpoint_layer(const std::filesystem::path& directory, std::int64_t segment,
                                      std::int64_t layer);
// Its weight alone.
Matrix read_checkpoint_weight(const std::filesystem::path& directory, std::int64_t segment, std::int64_t layer);

// The segments of which there are checkpoints, whole or not, ascending.
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

// The newest checkpoint with sound files of all these layers that is of a segment of the journal after which the
// state continues as it stands at the journal's end: one that was rolled back is passed over.
CheckpointChoice newest_checkpoint(const std::filesystem::path& directory, const Journal& journal,
                                   const std::vector<std::int64_t>& layers);

// Removes all but the `keep` newest checkpoints that have all these layers, and what lies before them.
void remove_old_checkpoints(const std::filesystem::path& directory, const std::vector<std::int64_t>& layers,
                            std::size_t keep);

}  // namespace anchorage::io
