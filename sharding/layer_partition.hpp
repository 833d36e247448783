// Decides which layers each stage holds: cuts the layers below the first edited one, and those from it on, apart
// from each other.
#pragma once

#include <cstdint>
#include <functional>
#include <optional>
#include <vector>

#include "sharding/range.hpp"
#include "sharding/stage_layers.hpp"

namespace anchorage::sharding {

// What a range of layers costs the stage that holds it. Both >= 0, and not less for a range that holds another.
struct StageCost {
  std::int64_t bytes = 0;  // of the stage's fullest rank
  std::int64_t work = 0;   // time, in any unit
};

struct LayerCosts {
  // Of layers below the first edited one. The range with layer 0 pays for the embedding.
  std::function<StageCost(Range)> lower;
  // Of layers from the first edited one on, on a stage, with what a stage needs besides layers; also of no layers.
  // The range with the last layer pays for the head, one with layer 0 for the embedding. The work must not depend
  // on the stage.
  std::function<StageCost(int stage, Range)> upper;
};

struct LayerCut {
  std::vector<StageLayers> stages;
  std::int64_t work = 0;   // of the slowest stage's upper layers and of the slowest stage's lower layers, together
  std::int64_t bytes = 0;  // of the fullest stage
};

// Cuts the layers [0, `layers`) into `stages` stages within `memory` bytes each. A stage holds a range of the
// layers [0, `first_edited`), which may be empty on all but the first, and a range of the others, not empty: but
// where there are fewer of those than stages, the first stages hold lower layers alone.
//
// Passes through the lower and through the upper layers alternate with waits for all groups, so each is as slow as
// its slowest stage: the cut has the least sum of the two. Among the cuts whose sum is at most a share of `slack`
// greater it takes the one whose fullest stage needs the fewest bytes, to half a percent. Otherwise exact: for each
// possible work of the slowest upper stage, in ascending order, a dynamic program finds the least lower work.
// Returns nothing where no cut fits. Throws InternalError unless 1 <= stages, 0 <= first_edited < layers and
// 0 <= slack.
[[nodiscard]] std::optional<LayerCut> layer_partition(std::int64_t layers, std::int64_t first_edited, int stages,
                                                      const LayerCosts& costs, std::int64_t memory,
                                                      double slack = 0);

// Returns whether there is such a cut at all, which takes far less time to find out. Throws as above.
[[nodiscard]] bool layers_fit(std::int64_t layers, std::int64_t first_edited, int stages, const LayerCosts& costs,
                              std::int64_t memory);

}  // namespace anchorage::sharding
