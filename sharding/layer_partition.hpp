// Which layers each stage holds: the model's layers cut into contiguous ranges.
#pragma once

#include <cstdint>
#include <functional>
#include <optional>
#include <vector>

#include "sharding/range.hpp"

namespace anchorage::sharding {

// What a range of layers asks of the rank that holds it. Both >= 0.
struct StageCost {
  std::int64_t bytes = 0;  // of the fullest rank of the stage
  std::int64_t work = 0;   // time, in any unit
};

// Of any range, also such as no stage can hold: costs need not be sums over layers. The first layer's range is
// charged for the embedding, the last layer's for the head.
using CostOfLayers = std::function<StageCost(Range)>;

// The layers [0, `layers`) in `stages` ranges, none empty, each within `memory` bytes, such that the slowest stage
// is as fast as it can be, or takes no more than a share of `slack` longer, and among such cuts the fullest stage
// is as empty as it can be: in a pipeline everybody waits for the slowest. Exact, by dynamic programming in
// O(stages layers^2). Nothing where no cut fits. 1 <= stages and 0 <= slack, or InternalError.
[[nodiscard]] std::optional<std::vector<Range>> layer_partition(std::int64_t layers, int stages,
                                                                const CostOfLayers& cost, std::int64_t memory,
                                                                double slack = 0);

// The stage that holds `layer`; InternalError where none does.
[[nodiscard]] int stage_of(std::int64_t layer, const std::vector<Range>& stages);

}  // namespace anchorage::sharding
