// Layer-wise anchor selection (LAS): which dimensions of which edited layer each edit of a batch may write
// (docs/method.md section 4).
//
// It chooses a mask M[i, l, j] in {0, 1} over b edits, m edited layers and d dimensions for a large sum of
// the scores S[i, l, j] under these constraints: a budget per edit, one layer for each dimension of an edit,
// no layer with more than `balance` times its even share of an edit's anchors, and at most `capacity` edits
// of the batch on the same (layer, dimension). Greedy in descending score, ties by edit, layer, dimension: a
// function of the batch alone. Pure; the caller exchanges candidates between ranks.
#pragma once

#include <cstdint>
#include <optional>
#include <span>
#include <vector>

namespace anchorage::worker {

struct SelectionRules {
  std::int64_t layers = 1;        // m >= 1
  std::int64_t width = 1;         // d >= 1
  std::optional<double> ratio{};  // anchors per edit, of d; none: as few as carry `mass`
  double mass = 0.9;              // of the edit's score
  double balance = 1.5;           // >= 1
  std::int64_t capacity = 1;      // >= 1
  bool constrained = true;        // false: each edit's best entries, whatever layer or other edit holds them
};

// The best entries of one edit's scores.
struct Candidates {
  std::int64_t budget = 0;             // anchors that the edit should get
  bool complete = false;               // no entry with a score above zero was left out
  std::vector<std::uint32_t> entries;  // layer * d + dimension, ascending
  std::vector<float> scores;           // one per entry, > 0

  bool operator==(const Candidates&) const = default;
};

// Returns at most `limit` candidates of one edit from its scores [m * d] (not negative; a value that is not
// finite counts as zero). `importance` [m * d] decides how many anchors the edit needs where the ratio is not
// fixed.
[[nodiscard]] Candidates candidates_of(std::span<const float> scores, std::span<const float> importance,
                                       const SelectionRules& rules, std::int64_t limit);

// Returns how many candidates of an edit typically suffice.
[[nodiscard]] std::int64_t typical_candidates(const SelectionRules& rules);

struct Selection {
  // False where an edit's candidates ran out before its budget was filled and it has more: select again with
  // more of them. True: the selection is the one that all candidates would give.
  bool decided = true;
  std::vector<std::vector<std::uint32_t>> anchors;  // by edit, ascending entries layer * d + dimension
};

// Selects the anchors of a batch from the candidates of all its edits, in their order. Where `balance` times
// the even share, all budgets / (layers * width), exceeds `capacity`, that is the capacity, so that every
// edit gets anchors.
[[nodiscard]] Selection select_anchors(std::span<const Candidates> edits, const SelectionRules& rules);

}  // namespace anchorage::worker
