// Who solves which edited layer.
#pragma once

#include <cstdint>
#include <span>
#include <vector>

namespace anchorage::sharding {

// The owner, 0 to `owners` - 1, of each edited layer, by the layers' costs (>= 0, any unit).
//
// Balanced: layers from the dearest to the cheapest go each to the owner with the least so far (R. L. Graham,
// "Bounds on multiprocessing timing anomalies", 1969: the fullest owner has at most 4/3 - 1/(3 owners) of the least
// possible). Ties go to the owner with fewer layers, then by index, so every rank computes the same owners.
[[nodiscard]] std::vector<int> layer_owners(std::span<const std::int64_t> costs, int owners);

// The owners when costs have changed: those in `owner_of`, unless sharing anew takes more than `tolerance` (a
// share) off the fullest one's load; an owner that moves takes its state with it, which has a price. Where a new
// share leaves a choice, a layer stays where it is.
[[nodiscard]] std::vector<int> refreshed_layer_owners(std::span<const std::int64_t> costs,
                                                      std::span<const int> owner_of, int owners,
                                                      double tolerance = 0.1);

}  // namespace anchorage::sharding
