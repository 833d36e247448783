// Removes committed edits from the weights, as if they had never been made (docs/method.md section 4).
//
// Where keys are carried from batch to batch, the change D = W - W(base) of a layer is D = B A^-1 with
// A = lambda C + sum of k k^T and B = sum of t k^T over the live edits, t the target of an edit minus what
// the base weight gives at its key. Without the edits whose keys are K [f, r] and targets T [d, r]:
//
//   D' (A - K K^T) = D A - T K^T     =>     D' = D + (D K - T) K^T P',   P' = (A - K K^T)^-1
//
//   u = D K - T  [d, r],   v = P K (I - K^T P K)^-1  [f, r],   P' = P + v (P K)^T
//
// This is exact: the targets and keys of all other edits stay as recorded. The excess D K - T consists of
// what later updates did at these keys and what the edits' own batch missed, and follows from the journal
// alone:
//
//   t_i = D(before its batch) k_i + r_i     =>     D k_i - t_i = sum of u (v^T k_i) from its batch on, less r_i
#pragma once

#include <optional>
#include <span>
#include <string>
#include <vector>

#include "io/hparams/hparams.hpp"
#include "io/run/journal/segment.hpp"
#include "io/run/protected_keys.hpp"
#include "io/statistics/statistics_file.hpp"
#include "sharding/protocol/command.hpp"
#include "worker/editing/method.hpp"
#include "worker/editing/update/least_squares.hpp"

namespace anchorage::worker {

// What one layer holds of the removed edits.
struct RemovalTerms {
  torch::Tensor keys;    // [r, f] f32, as recorded
  torch::Tensor excess;  // [d, r] f64: D K - T
};

// Throws io::UserError for a method that does not carry keys: without them an edit's contribution to later
// batches cannot be separated.
void require_removable(const Method& method);

// Reads the terms from the live segments, from that of the earliest edit on. Throws io::InternalError where
// an edit is not live.
RemovalTerms removal_terms(const sharding::Removal& removal, std::int64_t layer);

// Returns u [d, r] and v [f, r] for these terms; `covariance` is that of the state from which the edits are
// removed. Collective over its world.
LowRankUpdate removal_update(const KeyCovariance& covariance, const RemovalTerms& terms);

// Returns the keys that the segments added to the layer's least squares and took away, in their order.
std::vector<KeyChange> key_changes(std::int64_t layer, std::span<const std::string> live);

// Rebuilds the least squares of a layer after these segments from the statistics, the keys that the run protects
// and the segments' keys, with the same bits as a run that replays them, on one rank.
KeyCovariance replayed_key_covariance(const Method& method, const io::Hparams& hparams,
                                      const io::StatisticsFile& statistics, std::int64_t layer,
                                      std::span<const std::string> live,
                                      const std::optional<io::ProtectedKeys>& protected_keys = std::nullopt);

// Returns the keys that the segment added to the layer's least squares: [written edits, f] f32.
torch::Tensor absorbed_keys(const io::LayerRecord& layer);

}  // namespace anchorage::worker
