// Intervals against a slow computation that shares nothing with them but the generator, and against theory.
#include "worker/evaluation/bootstrap.hpp"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <algorithm>
#include <cmath>
#include <vector>

namespace anchorage::worker {
namespace {

// The figure that 50 of the 2,000 lie below, and the one that 50 lie above, by counting.
Interval by_counting(const std::vector<double>& figures) {
  Interval interval{.low = *std::ranges::max_element(figures), .high = *std::ranges::min_element(figures)};
  for (const double figure : figures) {
    if (std::ranges::count_if(figures, [&](double other) { return other <= figure; }) > 50)
      interval.low = std::min(interval.low, figure);
    if (std::ranges::count_if(figures, [&](double other) { return other >= figure; }) > 50)
      interval.high = std::max(interval.high, figure);
  }
  return interval;
}

std::vector<double> values_without_pattern(int count) {
  std::vector<double> values;
  for (int i = 0; i < count; ++i) values.push_back(std::sin(7.3 * i) + 0.01 * i);
  return values;
}

TEST(Bootstrap, TheIntervalOfAMeanIsThatOfResampledMeans) {
  const std::vector<double> values = values_without_pattern(23);
  std::seed_seq seed{0};
  std::mt19937_64 random(seed);
  std::vector<double> means;
  for (int sample = 0; sample < 2000; ++sample) {
    double mean = 0;
    for (std::size_t draw = 0; draw < values.size(); ++draw)
      mean += values[random() % values.size()] / static_cast<double>(values.size());
    means.push_back(mean);
  }
  const Interval expected = by_counting(means), found = bootstrap_mean(values).value();
  EXPECT_NEAR(found.low, expected.low, 1e-12);
  EXPECT_NEAR(found.high, expected.high, 1e-12);
  EXPECT_EQ(bootstrap_mean(values), found) << "the same every time";
}

TEST(Bootstrap, OfManyYesAndNoTheIntervalIsNearlyTheNormalOne) {
  std::vector<double> values(300, 0.0);
  values.resize(400, 1.0);
  const double half_width = 1.96 * std::sqrt(0.25 * 0.75 / 400);
  const Interval found = bootstrap_mean(values).value();
  EXPECT_NEAR(found.low, 0.25 - half_width, 0.006);
  EXPECT_NEAR(found.high, 0.25 + half_width, 0.006);
}

TEST(Bootstrap, ARatioWeighsUnitsByTheirDenominators) {
  std::vector<double> numerators = values_without_pattern(40);
  const auto mean = bootstrap_mean(numerators);
  for (double& numerator : numerators) numerator *= 2;
  EXPECT_EQ(bootstrap_ratio(numerators, std::vector<double>(40, 2.0)), mean);

  // Of two units, 1/1 and 0/3, a sample has both (1/4), the first twice (1) or the second twice (0).
  const std::vector<double> ones{1, 0}, of{1, 3};
  EXPECT_EQ(bootstrap_ratio(ones, of), (Interval{.low = 0, .high = 1}));
  EXPECT_FALSE(bootstrap_ratio(std::vector<double>(5, 1.0), std::vector<double>(5, 0.0)));
}

TEST(Bootstrap, OfFewerThanTwoUnitsThereIsNoInterval) {
  EXPECT_FALSE(bootstrap_mean({}));
  EXPECT_FALSE(bootstrap_mean(std::vector<double>{1.0}));
  EXPECT_EQ(bootstrap_mean(std::vector<double>{0.5, 0.5}), (Interval{.low = 0.5, .high = 0.5}));
}

TEST(Bootstrap, SamplesWithoutTheFigureDoNotCountUnlessMostLackIt) {
  const auto figure_where = [](int least) {
    return bootstrap(4, [&, sample = 0](std::span<const std::size_t>) mutable -> std::optional<double> {
      return ++sample > least ? std::optional(static_cast<double>(sample)) : std::nullopt;
    });
  };
  EXPECT_EQ(figure_where(1000), (Interval{.low = 1026, .high = 1975}));
  EXPECT_FALSE(figure_where(1001));
}

// 2^64 mod (3 * 2^62) is 2^62: the plain remainder would fall into the lowest third half of the time.
TEST(Bootstrap, DrawsPreferNoUnit) {
  const std::size_t third = std::size_t{1} << 62;
  std::mt19937_64 random(5);
  int low = 0;
  for (int i = 0; i < 10000; ++i) {
    const std::size_t drawn = draw_below(3 * third, random);
    ASSERT_LT(drawn, 3 * third);
    low += drawn < third ? 1 : 0;
  }
  EXPECT_NEAR(low, 10000 / 3, 200);
}

}  // namespace
}  // namespace anchorage::worker
