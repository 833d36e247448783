// The rule by which `anchorage tune` chooses among its trials.
#pragma once

#include <cstddef>
#include <span>
#include <string>

#include "launch/commands/tune/search.hpp"

namespace anchorage::launch {

struct ChoiceLimits {
  double loss_rise = 0.05;  // of the held-out loss, nats per token
  double neighbors = 0.1;   // below the best share of neighbors kept
};

// Returns the number of the chosen trial, of at least one. Among the trials whose held-out loss is at most
// `loss_rise` above that of `before`, and of these among the ones that keep their neighbors within `neighbors` of
// the best of them, the one of the highest exact match (TrialFigures::answered); of equals that of the smallest
// drift, then the earliest. Where no trial's loss is within the limit: that of the smallest loss. Where there are
// no neighbors, their limit is none.
std::size_t choose(std::span<const Trial> trials, const TrialFigures& before, const ChoiceLimits& limits);

// Whether the trial's held-out loss is within the limit.
bool keeps_loss(const TrialFigures& trial, const TrialFigures& before, const ChoiceLimits& limits);

// Says the rule in words.
std::string words_of(const ChoiceLimits& limits);

}  // namespace anchorage::launch
