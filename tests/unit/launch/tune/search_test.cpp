// Which trials are made, in which order.
#include "launch/commands/tune/search.hpp"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <cmath>

namespace anchorage::launch {
namespace {

using testing::ElementsAre;

TEST(Search, WindowsLieAtThePeakAndInsideTheModel) {
  EXPECT_THAT(windows_at(10, 30),
              ElementsAre(ElementsAre(6, 7, 8, 9, 10), ElementsAre(8, 9, 10, 11, 12),
                          ElementsAre(10, 11, 12, 13, 14), ElementsAre(9, 10, 11), ElementsAre(10)));
  EXPECT_THAT(windows_at(1, 30), ElementsAre(ElementsAre(0, 1, 2, 3, 4), ElementsAre(1, 2, 3, 4, 5),
                                             ElementsAre(0, 1, 2), ElementsAre(1)));
  EXPECT_THAT(windows_at(3, 4), ElementsAre(ElementsAre(0, 1, 2, 3), ElementsAre(1, 2, 3), ElementsAre(3)));
  for (int layers = 1; layers < 12; ++layers) {
    for (int peak = 0; peak < layers; ++peak) {
      for (const auto& window : windows_at(peak, layers)) {
        EXPECT_GE(window.front(), 0);
        EXPECT_LT(window.back(), layers);
        EXPECT_TRUE(std::ranges::is_sorted(window));
      }
    }
  }
}

// The best is the one nearest to the window of layer 5, weight 500 and clamp 2.
std::size_t nearest(std::span<const Trial> trials) {
  const auto distance = [](const Trial& trial) {
    const auto& [layers, weight, clamp] = trial.settings;
    return (layers == std::vector{5} ? 0 : 100) + std::abs(std::log(weight / 500)) + std::abs(clamp - 2);
  };
  return static_cast<std::size_t>(std::ranges::min_element(trials, {}, distance) - trials.begin());
}

TEST(Search, VariesOneCoordinateAfterAnotherAroundTheBestSoFar) {
  const SearchGrid grid{.windows = {{4}, {5}, {6}}, .weights = {1500, 500, 5000}, .clamps = {1, 2}};
  std::vector<TrialSettings> made;
  const auto trials = search(
      grid, {.layers = {}, .mom2_update_weight = 1500, .clamp_norm_factor = 1},
      [&](const TrialSettings& settings) {
        made.push_back(settings);
        return TrialFigures{.drift = static_cast<double>(made.size())};
      },
      nearest);
  EXPECT_THAT(made,
              ElementsAre(TrialSettings{{4}, 1500, 1}, TrialSettings{{5}, 1500, 1}, TrialSettings{{6}, 1500, 1},
                          TrialSettings{{5}, 500, 1}, TrialSettings{{5}, 5000, 1}, TrialSettings{{5}, 500, 2}));
  ASSERT_EQ(std::ssize(trials), grid.trials());
  for (std::size_t i = 0; i < made.size(); ++i) {
    EXPECT_EQ(trials[i].settings, made[i]);
    EXPECT_EQ(trials[i].figures.drift, static_cast<double>(i + 1));
  }
  EXPECT_EQ(nearest(trials), 5U);
}

TEST(Search, ACoordinateOfOneValueTakesNoTrials) {
  const SearchGrid grid{.windows = {{4}}, .weights = {1500}, .clamps = {1}};
  const auto trials = search(
      grid, {.layers = {}, .mom2_update_weight = 1500, .clamp_norm_factor = 1},
      [](const TrialSettings&) { return TrialFigures{}; }, nearest);
  EXPECT_EQ(trials.size(), 1U);
  EXPECT_EQ(grid.trials(), 1);
}

}  // namespace
}  // namespace anchorage::launch
