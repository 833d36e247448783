// Decides which layers each stage holds: cuts the model's layers into contiguous ranges.
#pragma once

#include <cstdint>
#include <functional>
#include <optional>
#include <vector>

#include "sharding/range.hpp"

namespace anchorage::sharding {

// What a range of layers costs the rank that holds it. Both >= 0.
struct StageCost {
  std::int64_t bytes = 0;  // of the fullest rank of the stage
  std::int64_t work = 0;   // time, in any unit
};

// Returns the cost of any range, also of one that no stage can hold; costs need not be sums over layers. The
// range with the first layer pays for the embedding, the one with the last layer for the head.
using CostOfLayers = std::function<StageCost(Range)>;

// Cuts the layers [0, `layers`) into `stages` ranges, none empty, each within `memory` bytes, such that the
// slowest stage is as fast as possible, since a pipeline waits for its slowest stage. Among the cuts whose
// slowest stage takes at most a share of `slack` longer than that, it takes the one whose fullest stage needs
// the fewest bytes. Exact, by dynamic programming in O(stages layers^2). Returns nothing where no cut fits.
// Throws InternalError unless 1 <= stages and 0 <= slack.
[[nodiscard]] std::optional<std::vector<Range>> layer_partition(std::int64_t layers, int stages,
                                                                const CostOfLayers& cost, std::int64_t memory,
                                                                double slack = 0);

// Returns the stage that holds `layer`; throws InternalError where none does.
[[nodiscard]] int stage_of(std::int64_t layer, const std::vector<Range>& stages);

}  // namespace anchorage::sharding
