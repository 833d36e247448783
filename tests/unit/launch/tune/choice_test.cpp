// The rule by which a trial is chosen.
#include "launch/commands/tune/choice.hpp"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <limits>

namespace anchorage::launch {
namespace {

using testing::HasSubstr;

const ChoiceLimits limits{.loss_rise = 0.05, .neighbors = 0.1};
const TrialFigures before{.match = 0.0, .paraphrases = 0.0, .neighbors = 0.95, .loss = 3.0};

struct Case {
  const char* fact;
  std::vector<TrialFigures> trials;
  std::size_t chosen;
};

TrialFigures figures(double match, double neighbors, double loss, double drift = 0.1) {
  return {.match = match, .paraphrases = {}, .neighbors = neighbors, .loss = loss, .drift = drift};
}

TEST(Choice, FollowsTheRule) {
  const TrialFigures without_loss{.match = 1.0, .neighbors = 1.0, .loss = {}};
  const TrialFigures without_neighbors{.match = 0.7, .neighbors = {}, .loss = 3.0, .drift = 0.1};
  const std::vector<Case> cases = {
      {"the only one", {figures(0.1, 0.1, 9)}, 0},
      {"the highest exact match", {figures(0.8, 0.9, 3), figures(0.9, 0.9, 3), figures(0.7, 0.9, 3)}, 1},
      {"not one whose loss rose too much", {figures(0.8, 0.9, 3.04), figures(0.9, 0.9, 3.06)}, 0},
      {"one whose loss fell", {figures(0.8, 0.9, 3.04), figures(0.9, 0.9, 2)}, 1},
      {"not one that keeps too few neighbors", {figures(0.8, 0.9, 3), figures(0.9, 0.79, 3)}, 0},
      {"one that keeps enough", {figures(0.8, 0.9, 3), figures(0.9, 0.81, 3)}, 1},
      {"the best neighbors are of trials within the limit of the loss",
       {figures(0.8, 0.7, 3), figures(0.9, 0.65, 3), figures(0.1, 1, 4)},
       1},
      {"of equals the smallest loss", {figures(0.9, 0.9, 3.01, 0.1), figures(0.9, 0.9, 3, 0.2)}, 1},
      {"of equals in that too the smallest drift", {figures(0.9, 0.9, 3, 0.3), figures(0.9, 0.9, 3, 0.2)}, 1},
      {"of equals in all the earliest", {figures(0.9, 0.9, 3, 0.2), figures(0.9, 0.9, 3, 0.2)}, 0},
      {"where none is within the limit the smallest loss",
       {figures(0.9, 0.9, 5), figures(0.8, 0.9, 4), figures(1, 0.9, 6)},
       1},
      {"no trial without a loss", {without_loss, figures(0.1, 0.9, 3)}, 1},
      {"any where none has a loss", {without_loss, without_loss}, 0},
      {"without neighbors there is no limit of them", {without_neighbors, figures(0.6, 0.9, 3)}, 0},
  };
  for (const Case& one : cases) {
    std::vector<Trial> trials;
    for (const TrialFigures& trial : one.trials) trials.push_back({.settings = {}, .figures = trial});
    EXPECT_EQ(choose(trials, before, limits), one.chosen) << one.fact;
  }
}

// 0.8 of 32 edits has a standard error of sqrt(0.8 * 0.2 / 32) = 0.0707.
TEST(Choice, WithinOneStandardErrorOfTheHighestTheSmallestLossCounts) {
  const auto chosen_of = [](double match, std::int64_t edits) {
    const std::vector<Trial> trials = {{.settings = {}, .figures = figures(0.8, 0.9, 3.02)},
                                       {.settings = {}, .figures = figures(match, 0.9, 3.01)},
                                       {.settings = {}, .figures = figures(0.1, 0.9, 3)}};
    return choose(trials, before, {.loss_rise = 0.05, .neighbors = 0.1, .edits = edits});
  };
  EXPECT_EQ(chosen_of(0.73, 32), 1U);
  EXPECT_EQ(chosen_of(0.729, 32), 0U);
  EXPECT_EQ(chosen_of(0.73, 40), 0U);
  EXPECT_EQ(chosen_of(0.73, 0), 0U) << "exact shares";
}

TEST(Choice, TheExactMatchIsTheMeanOfPromptsAndParaphrases) {
  EXPECT_DOUBLE_EQ((TrialFigures{.match = 0.9, .paraphrases = 0.3}.answered()), 0.6);
  EXPECT_DOUBLE_EQ((TrialFigures{.match = 0.9}.answered()), 0.9);
  EXPECT_DOUBLE_EQ((TrialFigures{.paraphrases = 0.3}.answered()), 0.3);
  EXPECT_DOUBLE_EQ(TrialFigures{}.answered(), 0);
}

TEST(Choice, ALossThatIsNoNumberIsOutsideTheLimit) {
  const double no_number = std::numeric_limits<double>::quiet_NaN();
  EXPECT_FALSE(keeps_loss({.loss = no_number}, before, limits));
  EXPECT_TRUE(keeps_loss({.loss = 3.05}, {.loss = 3.0}, {.loss_rise = 0.06}));
}

TEST(Choice, TheRuleNamesItsLimits) {
  EXPECT_THAT(words_of({.loss_rise = 0.25, .neighbors = 0.125}), HasSubstr("at most 0.25 nats"));
  EXPECT_THAT(words_of({.loss_rise = 0.25, .neighbors = 0.125}), HasSubstr("within 0.125 of the best"));
}

}  // namespace
}  // namespace anchorage::launch
