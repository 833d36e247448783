#include "launch/commands/tune/choice.hpp"

#include <fmt/format.h>

#include <algorithm>
#include <limits>
#include <tuple>
#include <vector>

#include "io/error.hpp"

namespace anchorage::launch {
namespace {

double loss_of(const Trial& trial) {
  return trial.figures.loss.value_or(std::numeric_limits<double>::infinity());
}

}  // namespace

bool keeps_loss(const TrialFigures& trial, const TrialFigures& before, const ChoiceLimits& limits) {
  return trial.loss && before.loss && *trial.loss - *before.loss <= limits.loss_rise;
}

std::size_t choose(std::span<const Trial> trials, const TrialFigures& before, const ChoiceLimits& limits) {
  io::check(!trials.empty(), "a choice among trials");
  std::vector<std::size_t> possible;
  double most_neighbors = 0;
  for (std::size_t i = 0; i < trials.size(); ++i) {
    if (!keeps_loss(trials[i].figures, before, limits)) continue;
    possible.push_back(i);
    most_neighbors = std::max(most_neighbors, trials[i].figures.neighbors.value_or(0));
  }
  if (possible.empty())
    return static_cast<std::size_t>(std::ranges::min_element(trials, {}, loss_of) - trials.begin());
  std::erase_if(possible, [&](std::size_t i) {
    const auto& neighbors = trials[i].figures.neighbors;
    return neighbors && *neighbors < most_neighbors - limits.neighbors;
  });
  return *std::ranges::min_element(possible, {}, [&](std::size_t i) {
    return std::tuple(-trials[i].figures.answered(), trials[i].figures.drift, i);
  });
}

std::string words_of(const ChoiceLimits& limits) {
  return fmt::format(
      "among the trials whose held-out loss rose by at most {} nats per token, and of these among those that keep "
      "their neighbors within {} of the best, the one of the highest exact match (mean of prompts and "
      "paraphrases); of "
      "equals that of the smallest drift",
      limits.loss_rise, limits.neighbors);
}

}  // namespace anchorage::launch
