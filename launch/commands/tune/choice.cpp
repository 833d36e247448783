#include "launch/commands/tune/choice.hpp"

#include <fmt/format.h>

#include <algorithm>
#include <cmath>
#include <limits>
#include <tuple>
#include <vector>

#include "io/error.hpp"

namespace anchorage::launch {
namespace {

double loss_of(const Trial& trial) {
  return trial.figures.loss.value_or(std::numeric_limits<double>::infinity());
}

// Of a share of so many edits.
double standard_error(double share, std::int64_t edits) {
  return edits > 0 ? std::sqrt(share * (1 - share) / static_cast<double>(edits)) : 0;
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
  const auto answered = [&](std::size_t i) { return trials[i].figures.answered(); };
  const double highest = answered(*std::ranges::max_element(possible, {}, answered));
  const double lowest = highest - standard_error(highest, limits.edits);
  std::erase_if(possible, [&](std::size_t i) { return answered(i) < lowest; });
  return *std::ranges::min_element(
      possible, {}, [&](std::size_t i) { return std::tuple(loss_of(trials[i]), trials[i].figures.drift, i); });
}

std::string words_of(const ChoiceLimits& limits) {
  return fmt::format(
      "among the trials whose held-out loss rose by at most {} nats per token, and of these among those that keep "
      "their neighbors within {} of the best, and of these among those whose exact match (mean of prompts and "
      "paraphrases) is within one standard error of the highest, the one of the smallest held-out loss; of equals "
      "that of the smallest drift",
      limits.loss_rise, limits.neighbors);
}

}  // namespace anchorage::launch
