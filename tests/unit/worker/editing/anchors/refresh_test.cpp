#include "worker/editing/anchors/refresh.hpp"

#include <gtest/gtest.h>

#include <algorithm>
#include <numeric>
#include <random>

namespace anchorage::worker {
namespace {

std::vector<std::pair<std::uint32_t, float>> some_scores(std::size_t count, std::uint32_t entries) {
  std::mt19937 random(7);
  std::uniform_int_distribution<std::uint32_t> entry(0, entries - 1);
  std::uniform_real_distribution<float> score(0, 0.01F);
  std::vector<std::pair<std::uint32_t, float>> scores(count);
  std::ranges::generate(scores, [&] { return std::pair(entry(random), score(random)); });
  return scores;
}

TEST(AnchorScores, SumToTheSameBitsInAnyOrderAndAnySplit) {
  auto scores = some_scores(5000, 8);
  AnchorScores whole(8);
  for (const auto& [entry, score] : scores) whole.add(entry, score);
  std::shuffle(scores.begin(), scores.end(), std::mt19937(1));
  AnchorScores left(8), right(8);
  for (std::size_t i = 0; i < scores.size(); ++i)
    (i % 3 == 0 ? left : right).add(scores[i].first, scores[i].second);
  for (std::size_t entry = 0; entry < 8; ++entry) {
    EXPECT_EQ(left.sums()[entry] + right.sums()[entry], whole.sums()[entry]);
    double expected = 0;
    for (const auto& [at, score] : scores) expected += at == entry ? static_cast<double>(score) : 0;
    EXPECT_NEAR(whole.sum(entry), expected, 1e-8);
  }
}

TEST(RollingScores, FollowTheirFormula) {
  RollingScores rolling(2, 2, 0.9, 1.0);
  AnchorScores first(4), second(4);
  first.add(0, 0.5F);
  first.add(3, 1.0F);
  second.add(0, 1.0F);
  rolling.roll(first, 2);
  rolling.roll(second, 4);
  EXPECT_NEAR(rolling.of_layer(0)[0], 0.9 * 0.1 * 0.25 + 0.1 * 0.25, 1e-12);
  EXPECT_NEAR(rolling.of_layer(1)[1], 0.9 * 0.1 * 0.5, 1e-12);
  EXPECT_EQ(rolling.of_layer(1)[0], 0);
  const double mean = (rolling.of_layer(0)[0] + rolling.of_layer(1)[1]) / 4;
  EXPECT_NEAR(rolling.factors()[0], 1 / (1 + rolling.of_layer(0)[0] / mean), 1e-6);
  EXPECT_EQ(rolling.factors()[1], 1.0F);
}

TEST(RollingScores, BeforeTheFirstBatchChangeNothing) {
  const auto factors = RollingScores(3, 5, 0.9, 2.0).factors();
  EXPECT_EQ(factors, std::vector<float>(15, 1.0F));
}

TEST(RollingScores, ForgetWhatIsNotUsedAnyMore) {
  RollingScores rolling(1, 2, 0.5, 1.0);
  AnchorScores first(2), other(2);
  first.add(0, 1.0F);
  other.add(1, 1.0F);
  rolling.roll(first, 1);
  const float occupied = rolling.factors()[0];
  for (int batch = 0; batch < 10; ++batch) rolling.roll(other, 1);
  EXPECT_LT(occupied, 0.5F);
  EXPECT_GT(rolling.factors()[0], 0.99F);
}

TEST(RollingScores, CountWhichStandingAnchorsWereKeptEnteredAndLeft) {
  RollingScores rolling(1, 4, 0.0, 1.0);
  AnchorScores first(4), second(4);
  first.add(0, 0.5F);
  first.add(1, 0.5F);
  second.add(1, 0.5F);
  second.add(2, 0.5F);
  EXPECT_EQ(rolling.roll(first, 1), (std::vector<AnchorChange>{{.kept = 0, .entered = 2, .left = 0}}));
  EXPECT_EQ(rolling.roll(second, 1), (std::vector<AnchorChange>{{.kept = 1, .entered = 1, .left = 1}}));
}

TEST(RollingScores, AreRestoredFromWhatTheJournalKeeps) {
  RollingScores rolling(2, 3, 0.9, 1.0), restored(2, 3, 0.9, 1.0);
  AnchorScores scores(6);
  for (const auto& [entry, score] : some_scores(40, 6)) scores.add(entry, score);
  rolling.roll(scores, 40);
  for (std::int64_t layer = 0; layer < 2; ++layer) restored.restore(layer, rolling.of_layer(layer));
  EXPECT_EQ(restored, rolling);
}

}  // namespace
}  // namespace anchorage::worker
