// Layer-wise anchor selection over the edits of all ranks.
#pragma once

#include <torch/types.h>

#include <span>
#include <vector>

#include "sharding/collective/host_communicator.hpp"
#include "worker/editing/anchors/selection.hpp"

namespace anchorage::worker {

// Selects anchors over the edits of all ranks in rank order and returns those of this rank's e edits, [e, m,
// d] f32 of 0 and 1 on the CPU. `saliency` [e, m, d] f32; `factors` [m * d] multiply it (the rolling
// refresh). Only candidates travel, not whole score tensors. `timeout` covers ranks that still compute their
// saliency. Collective: all ranks give the same rules and factors.
torch::Tensor select_anchors_over_ranks(const torch::Tensor& saliency, std::span<const float> factors,
                                        const SelectionRules& rules, sharding::HostCommunicator& ranks,
                                        sharding::Timeout timeout = sharding::Timeout::until_deadline);

// Gathers the nonzero entries of all ranks' rows, in rank order, on rank 0 (nothing elsewhere): one
// Candidates per row, with entries layer * d + dimension ascending. `rows` [e, m, d] f32. Collective.
std::vector<Candidates> gather_anchors(const torch::Tensor& rows, sharding::HostCommunicator& ranks);

}  // namespace anchorage::worker
