#include "worker/evaluation/classification.hpp"

#include <gtest/gtest.h>

#include <cmath>
#include <random>
#include <vector>

namespace anchorage::worker {
namespace {

// By its definition, pair by pair.
double slow_area(const std::vector<double>& positives, const std::vector<double>& negatives) {
  double won = 0;
  for (const double p : positives) {
    for (const double n : negatives) won += p > n ? 1 : p == n ? 0.5 : 0;
  }
  return won / static_cast<double>(positives.size() * negatives.size());
}

std::vector<double> sample(std::mt19937_64& random, std::size_t count, std::uint64_t shift) {
  std::vector<double> values;
  for (std::size_t i = 0; i < count; ++i) values.push_back(static_cast<double>(random() % 20 + shift));
  return values;
}

TEST(Classification, AreaUnderTheCurveIsTheShareOfPairsInOrder) {
  std::mt19937_64 random(3);
  for (const std::uint64_t shift : {0u, 5u, 30u}) {
    const auto positives = sample(random, 37, shift), negatives = sample(random, 23, 0);
    EXPECT_NEAR(area_under_curve(positives, negatives)->value, slow_area(positives, negatives), 1e-15);
  }
  EXPECT_FALSE(area_under_curve({}, std::vector<double>{1}));
  EXPECT_FALSE(area_under_curve(std::vector<double>{1}, {}));
}

// The deviation of the areas of many samples is the error that one sample gives.
TEST(Classification, AreasErrorIsTheDeviationOfAreasOfManySamples) {
  std::mt19937_64 random(5);
  std::vector<double> areas;
  double error = 0;
  for (int i = 0; i < 400; ++i) {
    const auto estimate = area_under_curve(sample(random, 80, 6), sample(random, 60, 0));
    areas.push_back(estimate->value);
    error += estimate->error / 400;
  }
  const double mean = mean_of(areas)->value;
  double squares = 0;
  for (const double area : areas) squares += (area - mean) * (area - mean);
  EXPECT_NEAR(error / std::sqrt(squares / 399), 1, 0.15);
}

TEST(Classification, MeansHaveTheirErrors) {
  EXPECT_FALSE(mean_of({}));
  const auto mean = mean_of(std::vector<double>{1, 2, 4, 5});
  EXPECT_DOUBLE_EQ(mean->value, 3);
  EXPECT_DOUBLE_EQ(mean->error, std::sqrt(10.0 / 3 / 4));
  EXPECT_EQ(mean_of(std::vector<double>{7})->value, 7);
  EXPECT_FALSE(kept_above_chance(*mean_of(std::vector<double>{1}), {1, 0}, 0)) << "one question says nothing";
}

// The correlation of two sequences of zeros and ones, by Pearson's formula.
TEST(Classification, MatthewsCorrelationIsPearsonsOfTheTwoClasses) {
  const Confusion confusion{.true_positives = 9, .false_positives = 4, .true_negatives = 6, .false_negatives = 2};
  std::vector<std::pair<double, double>> pairs;
  const auto add = [&](std::int64_t count, double predicted, double right) {
    for (std::int64_t i = 0; i < count; ++i) pairs.emplace_back(predicted, right);
  };
  add(9, 1, 1), add(4, 1, 0), add(6, 0, 0), add(2, 0, 1);
  double x = 0, y = 0, xx = 0, yy = 0, xy = 0;
  for (const auto& [a, b] : pairs) x += a, y += b, xx += a * a, yy += b * b, xy += a * b;
  const auto n = static_cast<double>(pairs.size());
  const double pearson = (n * xy - x * y) / std::sqrt((n * xx - x * x) * (n * yy - y * y));
  EXPECT_NEAR(matthews_correlation(confusion), pearson, 1e-14);
  EXPECT_EQ(matthews_correlation({.true_positives = 5, .false_positives = 5}), 0);  // one class alone is predicted
}

TEST(Classification, WhatIsAtChanceIsNotKept) {
  EXPECT_DOUBLE_EQ(*kept_above_chance({0.9, 0.02}, {0.7, 0.02}, 0.5), 0.5);
  EXPECT_DOUBLE_EQ(*kept_above_chance({0.9, 0.02}, {0.4, 0.02}, 0.5), -0.25);
  EXPECT_FALSE(kept_above_chance({0.53, 0.02}, {0.53, 0.02}, 0.5));
  EXPECT_TRUE(kept_above_chance({0.55, 0.02}, {0.53, 0.02}, 0.5));
}

}  // namespace
}  // namespace anchorage::worker
