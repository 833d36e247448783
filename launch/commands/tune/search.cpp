#include "launch/commands/tune/search.hpp"

#include <numeric>

namespace anchorage::launch {

double TrialFigures::answered() const {
  if (match && paraphrases) return (*match + *paraphrases) / 2;
  return match ? *match : paraphrases.value_or(0);
}

std::vector<std::vector<int>> windows_at(int peak, int layers) {
  struct Shape {
    int below, above;  // layers beside the peak
  };
  std::vector<std::vector<int>> windows;
  for (const auto& [below, above] : {Shape{4, 0}, {2, 2}, {0, 4}, {1, 1}, {0, 0}}) {
    const int width = std::min(below + above + 1, layers);
    std::vector<int> window(static_cast<std::size_t>(width));
    std::iota(window.begin(), window.end(), std::clamp(peak - below, 0, layers - width));
    add_once(windows, window);
  }
  return windows;
}

std::vector<Trial> search(const SearchGrid& grid, const TrialSettings& start,
                          const std::function<TrialFigures(const TrialSettings&)>& run_trial,
                          const std::function<std::size_t(std::span<const Trial>)>& best_of) {
  std::vector<Trial> trials;
  const auto try_out = [&](const TrialSettings& settings) {
    trials.push_back({.settings = settings, .figures = run_trial(settings)});
  };
  for (const auto& window : grid.windows) {
    TrialSettings settings = start;
    settings.layers = window;
    try_out(settings);
  }
  for (const auto& [coordinate, values] : {std::pair(&TrialSettings::mom2_update_weight, &grid.weights),
                                           {&TrialSettings::clamp_norm_factor, &grid.clamps}}) {
    TrialSettings settings = trials[best_of(trials)].settings;
    const double taken = settings.*coordinate;
    for (const double value : *values) {
      if (value == taken) continue;
      settings.*coordinate = value;
      try_out(settings);
    }
  }
  return trials;
}

}  // namespace anchorage::launch
