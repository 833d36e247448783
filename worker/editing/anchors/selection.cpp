#include "worker/editing/anchors/selection.hpp"

#include <algorithm>
#include <bit>
#include <boost/sort/spreadsort/integer_sort.hpp>
#include <cmath>
#include <functional>
#include <limits>
#include <numeric>

#include "io/error.hpp"

namespace anchorage::worker {
namespace {

bool counts(float score) {
  return std::isfinite(score) && score > 0;
}

// Ascending keys mean descending scores, then ascending positions: the bits of floats above zero sort like
// the floats.
std::uint64_t key_of(float score, std::uint32_t position) {
  return (std::uint64_t{~std::bit_cast<std::uint32_t>(score)} << 32) | position;
}

float score_of(std::uint64_t key) {
  return std::bit_cast<float>(~static_cast<std::uint32_t>(key >> 32));
}

std::uint32_t position_of(std::uint64_t key) {
  return static_cast<std::uint32_t>(key);
}

// Returns the fewest entries that carry the share `mass` of the total.
std::int64_t fewest_that_carry(double mass, std::span<const float> importance) {
  std::vector<float> sorted;
  std::ranges::copy_if(importance, std::back_inserter(sorted), counts);
  std::ranges::sort(sorted, std::greater{});
  const double wanted = mass * std::accumulate(sorted.begin(), sorted.end(), 0.0);
  double carried = 0;
  std::int64_t count = 0;
  while (count < std::ssize(sorted) && carried < wanted) carried += sorted[static_cast<std::size_t>(count++)];
  return count;
}

std::int64_t budget_of(std::span<const float> importance, const SelectionRules& rules) {
  const std::int64_t wanted = rules.ratio ? std::llround(*rules.ratio * static_cast<double>(rules.width))
                                          : fewest_that_carry(rules.mass, importance);
  // Each dimension has one layer, so an edit cannot hold more anchors than there are dimensions.
  return std::clamp<std::int64_t>(wanted, 1, rules.constrained ? rules.width : rules.width * rules.layers);
}

std::int64_t capacity_of(std::span<const Candidates> edits, const SelectionRules& rules) {
  std::int64_t asked = 0;
  for (const Candidates& edit : edits) asked += edit.budget;
  const double even = static_cast<double>(asked) / static_cast<double>(rules.layers * rules.width);
  return std::max(rules.capacity, static_cast<std::int64_t>(std::ceil(rules.balance * even)));
}

// The state of the greedy choice: the entries assigned so far.
class Assignment {
 public:
  Assignment(std::span<const Candidates> edits, const SelectionRules& rules)
      : rules_(rules),
        capacity_(capacity_of(edits, rules)),
        edits_(edits),
        holders_(static_cast<std::size_t>(rules.layers * rules.width)),
        held_dimensions_(edits.size() * static_cast<std::size_t>(rules.width)),
        of_edit_(edits.size()),
        of_layer_(edits.size() * static_cast<std::size_t>(rules.layers)) {}

  bool full(std::size_t edit) const { return of_edit_[edit] == edits_[edit].budget; }

  // Assigns the entry to the edit if all rules allow it.
  bool try_assign(std::size_t edit, std::uint32_t entry) {
    if (full(edit)) return false;
    if (rules_.constrained) {
      const auto width = static_cast<std::size_t>(rules_.width), layers = static_cast<std::size_t>(rules_.layers);
      const std::size_t layer = entry / width, dimension = entry % width;
      auto& held = held_dimensions_[edit * width + dimension];
      auto& in_layer = of_layer_[edit * layers + layer];
      if (held != 0 || in_layer >= layer_share(edit) || holders_[entry] >= capacity_) return false;
      held = 1;
      ++in_layer;
      ++holders_[entry];
    }
    ++of_edit_[edit];
    return true;
  }

 private:
  std::int64_t layer_share(std::size_t edit) const {
    const double even = static_cast<double>(edits_[edit].budget) / static_cast<double>(rules_.layers);
    return static_cast<std::int64_t>(std::ceil(rules_.balance * even));
  }

  const SelectionRules& rules_;
  std::int64_t capacity_;
  std::span<const Candidates> edits_;
  std::vector<std::int64_t> holders_;          // [m * d]: edits that hold each entry
  std::vector<std::uint8_t> held_dimensions_;  // [b * d] 0 or 1
  std::vector<std::int64_t> of_edit_;          // [b]
  std::vector<std::int64_t> of_layer_;         // [b * m]
};

}  // namespace

std::int64_t typical_candidates(const SelectionRules& rules) {
  // Neighboring layers prefer the same dimensions, and an edit may hold each dimension in one layer only.
  const double share = rules.ratio.value_or(1.0);
  return std::llround(3 * share * static_cast<double>(rules.width)) + 1;
}

Candidates candidates_of(std::span<const float> scores, std::span<const float> importance,
                         const SelectionRules& rules, std::int64_t limit) {
  io::check(std::ssize(scores) == rules.layers * rules.width && scores.size() == importance.size(),
            "one score a layer and dimension");
  std::vector<std::uint64_t> keys;
  keys.reserve(scores.size());
  for (std::size_t entry = 0; entry < scores.size(); ++entry) {
    if (counts(scores[entry])) keys.push_back(key_of(scores[entry], static_cast<std::uint32_t>(entry)));
  }
  Candidates chosen{.budget = budget_of(importance, rules), .complete = true, .entries = {}, .scores = {}};
  std::uint64_t last = std::numeric_limits<std::uint64_t>::max();
  if (std::ssize(keys) > limit) {
    auto best = keys;
    std::nth_element(best.begin(), best.begin() + limit - 1, best.end());
    last = best[static_cast<std::size_t>(limit - 1)];
    chosen.complete = false;
  }
  for (const std::uint64_t key : keys) {
    if (key > last) continue;
    chosen.entries.push_back(position_of(key));
    chosen.scores.push_back(score_of(key));
  }
  return chosen;
}

Selection select_anchors(std::span<const Candidates> edits, const SelectionRules& rules) {
  // Concatenates the edits' candidates; positions sort by edit, and within an edit by entry.
  std::vector<std::uint64_t> keys;
  std::vector<std::uint32_t> edit_of;
  for (std::size_t edit = 0; edit < edits.size(); ++edit) {
    for (const float score : edits[edit].scores) {
      keys.push_back(key_of(score, static_cast<std::uint32_t>(keys.size())));
      edit_of.push_back(static_cast<std::uint32_t>(edit));
    }
  }
  io::check(keys.size() <= std::numeric_limits<std::uint32_t>::max(), "a batch with fewer than 2^32 candidates");
  std::vector<std::size_t> begin_of(edits.size() + 1);
  for (std::size_t edit = 0; edit < edits.size(); ++edit)
    begin_of[edit + 1] = begin_of[edit] + edits[edit].scores.size();
  boost::sort::spreadsort::integer_sort(keys.begin(), keys.end());  // millions of keys

  Assignment assignment(edits, rules);
  Selection selection;
  selection.anchors.resize(edits.size());
  for (const std::uint64_t key : keys) {
    const std::size_t edit = edit_of[position_of(key)];
    const std::uint32_t entry = edits[edit].entries[position_of(key) - begin_of[edit]];
    if (assignment.try_assign(edit, entry)) selection.anchors[edit].push_back(entry);
  }
  for (std::size_t edit = 0; edit < edits.size(); ++edit) {
    std::ranges::sort(selection.anchors[edit]);
    if (!assignment.full(edit) && !edits[edit].complete) selection.decided = false;
  }
  return selection;
}

}  // namespace anchorage::worker
