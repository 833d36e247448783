// The coordinate search of `anchorage tune`: which trials are made, in which order. No rank, model or file is
// needed for it.
#pragma once

#include <algorithm>
#include <cstdint>
#include <functional>
#include <optional>
#include <span>
#include <vector>

namespace anchorage::launch {

// What a trial varies.
struct TrialSettings {
  std::vector<int> layers{};      // ascending
  double mom2_update_weight = 0;  // of no effect with methods that do not use it
  double clamp_norm_factor = 0;

  bool operator==(const TrialSettings&) const = default;
};

// What was measured with a trial's edits in the weights; what could not be measured has no value.
struct TrialFigures {
  std::optional<double> match{};        // share of the edits whose every target token is the most probable one
  std::optional<double> paraphrases{};  // the same after their paraphrases
  std::optional<double> neighbors{};    // share of the neighbors whose own answer beats the edit's target
  std::optional<double> loss{};         // on held-out text, nats per token
  double drift = 0;                     // the largest of a layer, in norms of the base weight
  std::int64_t refused = 0;             // edits that were not written

  // The exact match of the rule: the mean of `match` and `paraphrases`, of those that were measured.
  double answered() const;

  bool operator==(const TrialFigures&) const = default;
};

struct Trial {
  TrialSettings settings;
  TrialFigures figures;
};

// The values of each coordinate. Those that the search starts from are among them.
struct SearchGrid {
  std::vector<std::vector<int>> windows;  // of layers
  std::vector<double> weights, clamps;

  // The trials that the search makes.
  std::int64_t trials() const { return std::ssize(windows) + std::ssize(weights) + std::ssize(clamps) - 2; }
};

// Returns windows at the layer `peak` of a model with so many layers, each once: five layers that end there, lie
// around it, begin there; three around it; it alone. A window that would reach beyond the model is shifted.
std::vector<std::vector<int>> windows_at(int peak, int layers);

// Adds a value to a coordinate, unless it is there.
template <class Value>
void add_once(std::vector<Value>& values, const Value& value) {
  if (std::ranges::find(values, value) == values.end()) values.push_back(value);
}

// Makes the trials: first every window, with weight and clamp of `start`; then, with the window of the trial that
// is best so far, every other weight; then, with window and weight of the best so far, every other clamp. Returns
// all trials, in order. `best_of` returns the number of the best of those that it is given, at least one.
std::vector<Trial> search(const SearchGrid& grid, const TrialSettings& start,
                          const std::function<TrialFigures(const TrialSettings&)>& run_trial,
                          const std::function<std::size_t(std::span<const Trial>)>& best_of);

}  // namespace anchorage::launch
