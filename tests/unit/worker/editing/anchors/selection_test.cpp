#include "worker/editing/anchors/selection.hpp"

#include <gtest/gtest.h>

#include <algorithm>
#include <cmath>
#include <limits>
#include <map>
#include <random>
#include <set>
#include <tuple>

namespace anchorage::worker {
namespace {

using Scores = std::vector<std::vector<float>>;  // by edit, [m * d]

Scores random_scores(std::size_t edits, const SelectionRules& rules, unsigned seed) {
  std::mt19937 random(seed);
  // Few distinct values: ties must be broken the same way everywhere.
  std::uniform_int_distribution<int> value(0, 12);
  Scores scores(edits, std::vector<float>(static_cast<std::size_t>(rules.layers * rules.width)));
  for (auto& edit : scores) std::ranges::generate(edit, [&] { return static_cast<float>(value(random)) / 16; });
  return scores;
}

std::vector<Candidates> candidates(const Scores& scores, const SelectionRules& rules, std::int64_t limit) {
  std::vector<Candidates> all;
  for (const auto& edit : scores) all.push_back(candidates_of(edit, edit, rules, limit));
  return all;
}

Selection select_from_all(const Scores& scores, const SelectionRules& rules) {
  return select_anchors(candidates(scores, rules, rules.layers * rules.width), rules);
}

// The definition, entry by entry, with sets and maps.
std::vector<std::set<std::uint32_t>> slow_greedy(const Scores& scores, const SelectionRules& rules,
                                                 std::int64_t budget) {
  std::vector<std::tuple<float, std::size_t, std::uint32_t>> entries;
  for (std::size_t edit = 0; edit < scores.size(); ++edit) {
    for (std::uint32_t entry = 0; entry < scores[edit].size(); ++entry) {
      if (scores[edit][entry] > 0) entries.emplace_back(-scores[edit][entry], edit, entry);
    }
  }
  std::ranges::sort(entries);
  std::vector<std::set<std::uint32_t>> chosen(scores.size());
  std::map<std::uint32_t, std::int64_t> holders;
  const auto width = static_cast<std::uint32_t>(rules.width);
  const auto in_layer = [&](std::size_t edit, std::uint32_t layer) {
    return std::ranges::count_if(chosen[edit], [&](std::uint32_t held) { return held / width == layer; });
  };
  const auto holds_dimension = [&](std::size_t edit, std::uint32_t dimension) {
    return std::ranges::any_of(chosen[edit], [&](std::uint32_t held) { return held % width == dimension; });
  };
  const double share = rules.balance * static_cast<double>(budget) / static_cast<double>(rules.layers);
  for (const auto& [score, edit, entry] : entries) {
    if (std::ssize(chosen[edit]) == budget || holders[entry] == rules.capacity) continue;
    if (static_cast<double>(in_layer(edit, entry / width)) >= share || holds_dimension(edit, entry % width))
      continue;
    chosen[edit].insert(entry);
    ++holders[entry];
  }
  return chosen;
}

TEST(AnchorSelection, IsTheGreedyChoiceOfItsDefinition) {
  for (unsigned seed = 0; seed < 40; ++seed) {
    const SelectionRules rules{.layers = 2 + seed % 3, .width = 16, .ratio = 0.5, .balance = 1.5, .capacity = 3};
    const Scores scores = random_scores(5, rules, seed);
    const auto expected = slow_greedy(scores, rules, 8);
    const Selection selection = select_from_all(scores, rules);
    EXPECT_TRUE(selection.decided);
    for (std::size_t edit = 0; edit < scores.size(); ++edit) {
      EXPECT_EQ(selection.anchors[edit], std::vector(expected[edit].begin(), expected[edit].end()))
          << "seed " << seed;
    }
  }
}

TEST(AnchorSelection, OfAFewCandidatesIsThatOfAllOrUndecided) {
  int undecided = 0, decided = 0;
  for (unsigned seed = 0; seed < 60; ++seed) {
    const SelectionRules rules{.layers = 3, .width = 16, .ratio = 0.5, .capacity = 3};
    const Scores scores = random_scores(6, rules, seed);
    const Selection few = select_anchors(candidates(scores, rules, 10 + seed % 20), rules);
    if (few.decided) {
      EXPECT_EQ(few.anchors, select_from_all(scores, rules).anchors);
    }
    (few.decided ? decided : undecided) += 1;
  }
  EXPECT_GT(decided, 0);
  EXPECT_GT(undecided, 0);
}

// The best of all allowed masks, by trying every one.
double best_total(const Scores& scores, const SelectionRules& rules, std::int64_t budget, std::size_t position,
                  std::vector<std::set<std::uint32_t>>& chosen) {
  const auto entries = static_cast<std::size_t>(rules.layers * rules.width);
  if (position == scores.size() * entries) return 0;
  const std::size_t edit = position / entries;
  const auto entry = static_cast<std::uint32_t>(position % entries),
             width = static_cast<std::uint32_t>(rules.width);
  double best = best_total(scores, rules, budget, position + 1, chosen);
  auto& own = chosen[edit];
  const auto same_dimension = [&](std::uint32_t held) { return held % width == entry % width; };
  const auto same_layer = [&](std::uint32_t held) { return held / width == entry / width; };
  const double share = rules.balance * static_cast<double>(budget) / static_cast<double>(rules.layers);
  const auto holders = std::ranges::count_if(chosen, [&](const auto& of) { return of.contains(entry); });
  if (std::ssize(own) < budget && std::ranges::none_of(own, same_dimension) && holders < rules.capacity &&
      static_cast<double>(std::ranges::count_if(own, same_layer)) < share) {
    own.insert(entry);
    best = std::max(best, scores[edit][entry] + best_total(scores, rules, budget, position + 1, chosen));
    own.erase(entry);
  }
  return best;
}

TEST(AnchorSelection, IsWithinAThirdOfTheBestMask) {
  for (unsigned seed = 0; seed < 12; ++seed) {
    const SelectionRules rules{.layers = 2, .width = 4, .ratio = 0.5, .balance = 1.0, .capacity = 2};
    const Scores scores = random_scores(2, rules, seed);
    std::vector<std::set<std::uint32_t>> chosen(scores.size());
    const double best = best_total(scores, rules, 2, 0, chosen);
    double total = 0;
    const Selection selection = select_from_all(scores, rules);
    for (std::size_t edit = 0; edit < scores.size(); ++edit) {
      for (const std::uint32_t entry : selection.anchors[edit]) total += scores[edit][entry];
    }
    // Four kinds of constraint: greedy has at least a quarter; on these it does far better.
    EXPECT_GE(total, 0.66 * best) << "seed " << seed;
    EXPECT_LE(total, best + 1e-6);
  }
}

TEST(AnchorSelection, WithoutConstraintsTakesEachEditsBestEntries) {
  const SelectionRules rules{.layers = 2, .width = 3, .ratio = 1.0, .capacity = 1, .constrained = false};
  const Scores scores = {{0.6F, 0.1F, 0, 0.5F, 0, 0.4F}, {0.6F, 0.1F, 0, 0.5F, 0, 0.4F}};
  const std::vector<std::uint32_t> best = {0, 3, 5};
  EXPECT_EQ(select_from_all(scores, rules).anchors, (std::vector{best, best}));
}

TEST(AnchorSelection, RatioAutoTakesAsFewAsCarryTheMass) {
  const SelectionRules rules{
      .layers = 1, .width = 6, .ratio = std::nullopt, .mass = 0.8, .balance = 1, .capacity = 9};
  const Scores concentrated = {{0.05F, 0.7F, 0.05F, 0.15F, 0.05F, 0}};
  EXPECT_EQ(select_from_all(concentrated, rules).anchors.front(), (std::vector<std::uint32_t>{1, 3}));
}

TEST(AnchorSelection, ScoresThatAreNotFiniteAreNeverChosen) {
  const SelectionRules rules{.layers = 1, .width = 4, .ratio = 1.0, .balance = 1, .capacity = 1};
  const float nan = std::numeric_limits<float>::quiet_NaN(), infinite = std::numeric_limits<float>::infinity();
  EXPECT_EQ(select_from_all({{nan, 0.5F, infinite, -1.0F}}, rules).anchors.front(),
            (std::vector<std::uint32_t>{1}));
}

// 100 edits that each want half of the dimensions do not fit under a capacity of 6 in 5 layers.
TEST(AnchorSelection, CapacityGrowsWithTheBatchSoThatEveryEditIsServed) {
  const SelectionRules rules{.layers = 5, .width = 32, .ratio = 0.5, .capacity = 6};
  std::mt19937 random(3);
  std::uniform_real_distribution<float> value(0.1F, 1.0F);
  Scores scores(100, std::vector<float>(5 * 32));
  for (auto& edit : scores) std::ranges::generate(edit, [&] { return value(random); });
  const Selection selection = select_from_all(scores, rules);
  EXPECT_TRUE(selection.decided);
  std::map<std::uint32_t, int> holders;
  for (const auto& anchors : selection.anchors) {
    EXPECT_EQ(anchors.size(), 16U);
    for (const std::uint32_t entry : anchors) ++holders[entry];
  }
  for (const auto& [entry, count] : holders) EXPECT_LE(count, 15);  // 1.5 times 100 * 16 / 160
}

}  // namespace
}  // namespace anchorage::worker
