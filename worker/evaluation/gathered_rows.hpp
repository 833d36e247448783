// What ranks have measured, each of its own share of an evaluation's items.
#pragma once

#include <cstdint>
#include <string_view>
#include <vector>

#include "worker/communicators.hpp"
#include "worker/model/transformer.hpp"

namespace anchorage::worker {

// Returns the rows of `count` items, a row per item, in their order: [count, columns] on the CPU, on every rank.
// `own`: those of own_groups(ranks, count, group_size), in order; the first, which may have no rows, gives columns
// and dtype. Delivers what stages have posted. Collective; throws CollectiveError where a rank stays away.
torch::Tensor gather_rows(const Transformer& model, const Communicators& ranks,
                          const std::vector<torch::Tensor>& own, std::int64_t count, std::int64_t group_size,
                          std::string_view operation,
                          sharding::Timeout timeout = sharding::Timeout::until_deadline);

}  // namespace anchorage::worker
