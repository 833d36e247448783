// Keys at the last tokens of rows, of several layers. The rows are split over the replicas in fixed groups, so the
// keys' bits depend neither on the number of ranks nor on their arrangement.
#pragma once

#include <torch/types.h>

#include <functional>
#include <map>
#include <span>
#include <vector>

#include "worker/communicators.hpp"
#include "worker/model/token_layout.hpp"
#include "worker/model/transformer.hpp"

namespace anchorage::worker {

// What a round of groups gives, one group for each replica, in the order of replicas.
struct LastKeysOfRound {
  // Of this replica's group, by layer, of the layers that this stage holds: [n, f] f32. Empty where it has none.
  std::map<std::int64_t, torch::Tensor> own;
  std::vector<std::int64_t> sizes;  // of the groups, in rows; replicas beyond them have none
  std::int64_t done = 0;            // rows up to the end of this round
};

// Calls `use` with each round, in the order of the rows; `layers` ascend. Collective over the stages of a replica,
// and as `use` is.
void for_last_keys(const Transformer& model, std::span<const TokenIds> rows,
                   const std::vector<std::int64_t>& layers, const Communicators& ranks,
                   const std::function<void(const LastKeysOfRound& round)>& use);

}  // namespace anchorage::worker
