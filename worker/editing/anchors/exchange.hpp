// Layer-wise anchor selection over the edits of all ranks.
#pragma once

#include <torch/types.h>

#include <span>
#include <vector>

#include "sharding/collective/host_communicator.hpp"
#include "worker/editing/anchors/selection.hpp"

namespace anchorage::worker {

// The anchors of this rank's e edits, [e, m, d] f32 of 0 and 1 on the CPU, out of a selection over the edits of all
// ranks in rank order. `saliency` [e, m, d] f32; `factors` [m * d] multiply it (the rolling refresh). Collective:
// all ranks give the same rules and factors. Candidates travel, not whole score tensors. `timeout`: with ranks
// that are still at their saliency.
torch::Tensor select_anchors_over_ranks(const torch::Tensor& saliency, std::span<const float> factors,
                                        const SelectionRules& rules, sharding::HostCommunicator& ranks,
                                        sharding::Timeout timeout = sharding::Timeout::until_deadline);

// The entries of this rank's rows that are not zero, and those of all ranks one after another in rank order, on
// rank 0 (nothing elsewhere). `rows` [e, m, d] f32; by row, with entries layer * d + dimension ascending.
// Collective.
std::vector<Candidates> gather_anchors(const torch::Tensor& rows, sharding::HostCommunicator& ranks);

}  // namespace anchorage::worker
