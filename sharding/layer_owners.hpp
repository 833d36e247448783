// Assigns layers to the ranks of a stage that sum their keys.
#pragma once

#include <cstdint>
#include <span>
#include <vector>

namespace anchorage::sharding {

// Returns the owner, 0 to `owners` - 1, of each layer, given the layers' costs (>= 0, any unit).
//
// Balances the load: layers, from the most expensive to the cheapest, each go to the owner with the least
// load so far (R. L. Graham, "Bounds on multiprocessing timing anomalies", 1969: the fullest owner has at
// most 4/3 - 1/(3 owners) of the least possible). Ties go to the owner with fewer layers, then by index, so
// every rank computes the same owners.
[[nodiscard]] std::vector<int> layer_owners(std::span<const std::int64_t> costs, int owners);

}  // namespace anchorage::sharding
