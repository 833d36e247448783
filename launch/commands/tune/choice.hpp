// The rule by which `anchorage tune` chooses among its trials.
#pragma once

#include <cstddef>
#include <cstdint>
#include <span>
#include <string>

#include "launch/commands/tune/search.hpp"

namespace anchorage::launch {

struct ChoiceLimits {
  double loss_rise = 0.05;  // of the held-out loss, nats per token
  double neighbors = 0.1;   // below the best share of neighbors kept
  std::int64_t edits = 0;   // of the sample; 0: as if its shares were exact
};

// Returns the number of the chosen trial, of at least one. Among the trials whose held-out loss is at most
// `loss_rise` above that of `before`, and of these among the ones that keep their neighbors within `neighbors` of
// the best of them, and of these among the ones whose exact match (TrialFigures::answered) is within one standard
// error of the highest, the one of the smallest held-out loss; of equals that of the smallest drift, then the
// earliest. The standard error is sqrt(p (1 - p) / edits) of the highest exact match p, which is no smaller than
// that of the mean of `edits` figures between 0 and 1. The simplest within one standard error is the rule of
// Breiman, Friedman, Olshen and Stone, Classification and Regression Trees (1984); here it is what harms least.
// Where no trial's loss is within the limit: that of the smallest loss. Where there are no neighbors, their limit
// is none.
std::size_t choose(std::span<const Trial> trials, const TrialFigures& before, const ChoiceLimits& limits);

// Whether the trial's held-out loss is within the limit.
bool keeps_loss(const TrialFigures& trial, const TrialFigures& before, const ChoiceLimits& limits);

// Says the rule in words.
std::string words_of(const ChoiceLimits& limits);

}  // namespace anchorage::launch
