// How long the selection of a batch's anchors takes on one core: the greedy choice from candidates, next to the
// same from all entries.
//
//   anchor_selection_bench [edits] [layers] [dimensions]
#include <fmt/format.h>

#include <algorithm>
#include <cstdlib>
#include <ctime>
#include <random>
#include <vector>

#include "worker/editing/anchors/selection.hpp"

namespace {

using namespace anchorage::worker;

// Saliency has few large and many small entries, and neighboring layers like the same dimensions.
std::vector<std::vector<float>> saliency(std::int64_t edits, const SelectionRules& rules) {
  std::mt19937 random(1);
  std::exponential_distribution<float> strength(1.0F);
  std::vector<std::vector<float>> scores;
  std::vector<float> of_dimension(static_cast<std::size_t>(rules.width));
  for (std::int64_t edit = 0; edit < edits; ++edit) {
    std::ranges::generate(of_dimension, [&] { return strength(random); });
    auto& own = scores.emplace_back();
    for (std::int64_t layer = 0; layer < rules.layers; ++layer) {
      for (const float common : of_dimension) own.push_back(common * strength(random));
    }
  }
  return scores;
}

struct Outcome {
  double seconds = 0;  // of one core
  Selection selection;
};

Outcome select(const std::vector<std::vector<float>>& scores, const SelectionRules& rules, std::int64_t limit) {
  const std::clock_t begin = std::clock();
  std::vector<Candidates> candidates;
  for (const auto& edit : scores) candidates.push_back(candidates_of(edit, edit, rules, limit));
  Outcome outcome{.seconds = 0, .selection = select_anchors(candidates, rules)};
  outcome.seconds = static_cast<double>(std::clock() - begin) / CLOCKS_PER_SEC;
  return outcome;
}

}  // namespace

int main(int count, char** arguments) {
  const auto number = [&](int place, std::int64_t otherwise) {
    return count > place ? std::atoll(arguments[place]) : otherwise;
  };
  const std::int64_t edits = number(1, 1024);
  const SelectionRules rules{.layers = number(2, 6), .width = number(3, 5120), .ratio = 0.5, .capacity = 6};
  const auto scores = saliency(edits, rules);
  const Outcome few = select(scores, rules, typical_candidates(rules));
  const Outcome all = select(scores, rules, rules.layers * rules.width);
  fmt::print("{} edits x {} layers x {} dimensions, one thread\n", edits, rules.layers, rules.width);
  fmt::print("  from {} candidates an edit: {:.2f} s, {}\n", typical_candidates(rules), few.seconds,
             few.selection.decided ? "decided" : "undecided");
  fmt::print("  from all {} entries an edit: {:.2f} s\n", rules.layers * rules.width, all.seconds);
  const bool same = few.selection.decided && few.selection.anchors == all.selection.anchors;
  fmt::print("  the same anchors: {}\n", same ? "yes" : "no");
  return same ? EXIT_SUCCESS : EXIT_FAILURE;
}
