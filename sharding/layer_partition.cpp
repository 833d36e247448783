#include "sharding/layer_partition.hpp"

#include <fmt/format.h>

#include <algorithm>
#include <limits>

#include "io/error.hpp"

namespace anchorage::sharding {
namespace {

constexpr std::int64_t no_limit = std::numeric_limits<std::int64_t>::max();

struct Limits {
  std::int64_t upper_work = no_limit, lower_work = no_limit, memory = no_limit;
};

class Search {
 public:
  Search(std::int64_t layers, std::int64_t first_edited, int stages, const LayerCosts& costs)
      : layers_(layers),
        first_(first_edited),
        stages_(stages),
        costs_(costs),
        without_upper_(std::max<std::int64_t>(0, stages - (layers - first_edited))) {
    for (std::int64_t begin = 0; begin < first_; ++begin) {
      for (std::int64_t end = begin + 1; end <= first_; ++end) lower_.push_back(costs.lower({begin, end}));
    }
  }

  bool fits(std::int64_t memory) const { return cut({.memory = memory}).has_value(); }

  // Lists what the slowest stage's work can be. Call it before `fastest`.
  void list_works() {
    for (const StageCost& cost : lower_) lower_works_.push_back(cost.work);
    lower_works_.push_back(0);
    for (std::int64_t begin = first_; begin < layers_; ++begin) {
      for (std::int64_t end = begin + 1; end <= layers_; ++end)
        upper_works_.push_back(costs_.upper(0, {begin, end}).work);
    }
    for (auto* works : {&lower_works_, &upper_works_}) {
      std::ranges::sort(*works);
      works->erase(std::unique(works->begin(), works->end()), works->end());
    }
  }

  // Returns the cut of least work within `memory`, of all whose work is at most `most`.
  std::optional<LayerCut> fastest(std::int64_t memory, std::int64_t most) const {
    const auto within = [&](std::int64_t upper_work) {
      return cut({.upper_work = upper_work, .memory = memory}).has_value();
    };
    const auto begin = std::ranges::partition_point(upper_works_, [&](auto work) { return !within(work); });
    if (begin == upper_works_.end()) return std::nullopt;
    const auto least_lower = least_lower_work({.memory = memory}, 0);
    std::optional<LayerCut> best;
    for (auto upper = begin; upper != upper_works_.end() && *upper + least_lower <= most; ++upper) {
      const Limits limits{.upper_work = *upper, .memory = memory};
      const std::int64_t lower = least_lower_work(limits, least_lower);
      if (*upper + lower > most) continue;
      best = cut({.upper_work = *upper, .lower_work = lower, .memory = memory});
      best->work = *upper + lower;
      most = best->work - 1;
    }
    return best;
  }

 private:
  const StageCost& lower(Range range) const {
    const std::int64_t before = range.begin * first_ - range.begin * (range.begin - 1) / 2;
    return lower_[static_cast<std::size_t>(before + range.size() - 1)];
  }

  // Some cut fits within the other limits.
  std::int64_t least_lower_work(Limits limits, std::int64_t at_least) const {
    const auto from = std::ranges::lower_bound(lower_works_, at_least);
    return *std::partition_point(from, lower_works_.end() - 1, [&](std::int64_t work) {
      limits.lower_work = work;
      return !cut(limits);
    });
  }

  // How far the lower layers are dealt out after some stages that hold the upper ones up to a layer, at most:
  // further is never worse, since what is left only becomes less.
  struct Reach {
    std::int64_t lower_end = -1;  // -1: impossible
    std::int64_t upper_begin = 0, lower_begin = 0;
  };

  // Returns a cut within the limits, if there is one.
  std::optional<LayerCut> cut(const Limits& limits) const {
    const auto width = static_cast<std::size_t>(layers_ - first_ + 1);
    std::vector<std::vector<Reach>> reach(static_cast<std::size_t>(stages_) + 1, std::vector<Reach>(width));
    reach[0][0].lower_end = 0;
    for (int stage = 0; stage < stages_; ++stage) {
      const auto& before = reach[static_cast<std::size_t>(stage)];
      auto& after = reach[static_cast<std::size_t>(stage) + 1];
      const bool empty = stage < without_upper_;
      for (std::int64_t begin = first_; begin < (empty ? first_ + 1 : layers_); ++begin) {
        const std::int64_t dealt = before[static_cast<std::size_t>(begin - first_)].lower_end;
        if (dealt < 0) continue;
        for (std::int64_t end = begin + (empty ? 0 : 1); end <= (empty ? begin : layers_); ++end) {
          const StageCost cost = costs_.upper(stage, {begin, end});
          if (cost.bytes > limits.memory || cost.work > limits.upper_work) break;
          const std::int64_t lower_end =
              furthest(dealt, most_dealt_after(stage), limits, limits.memory - cost.bytes);
          if ((stage == 0 || empty) && first_ > 0 && lower_end == dealt) continue;
          Reach& found = after[static_cast<std::size_t>(end - first_)];
          if (lower_end > found.lower_end) found = {lower_end, begin, dealt};
        }
      }
    }
    if (reach.back().back().lower_end < first_) return std::nullopt;
    return traced(reach);
  }

  // Leaves one lower layer for each of the next stages that hold nothing else.
  std::int64_t most_dealt_after(int stage) const {
    return first_ - std::max<std::int64_t>(0, without_upper_ - 1 - stage);
  }

  std::int64_t furthest(std::int64_t begin, std::int64_t most, const Limits& limits, std::int64_t memory) const {
    std::int64_t end = begin;
    while (end < most) {
      const StageCost& cost = lower({begin, end + 1});
      if (cost.bytes > memory || cost.work > limits.lower_work) break;
      ++end;
    }
    return end;
  }

  LayerCut traced(const std::vector<std::vector<Reach>>& reach) const {
    LayerCut cut;
    std::int64_t end = layers_;
    for (int stage = stages_; stage > 0; --stage) {
      const Reach& found = reach[static_cast<std::size_t>(stage)][static_cast<std::size_t>(end - first_)];
      const Range upper{found.upper_begin, end}, below{found.lower_begin, found.lower_end};
      const std::int64_t bytes = costs_.upper(stage - 1, upper).bytes + (below.size() > 0 ? lower(below).bytes : 0);
      cut.bytes = std::max(cut.bytes, bytes);
      cut.stages.insert(cut.stages.begin(), StageLayers({below, upper}));
      end = found.upper_begin;
    }
    return cut;
  }

  std::int64_t layers_, first_;
  int stages_;
  const LayerCosts& costs_;
  std::int64_t without_upper_;
  std::vector<StageCost> lower_;                         // of all ranges, by begin and then by end
  std::vector<std::int64_t> lower_works_, upper_works_;  // that occur, ascending
};

void check_stages(std::int64_t layers, std::int64_t first_edited, int stages) {
  io::check(stages > 0 && 0 <= first_edited && first_edited < layers,
            fmt::format("{} layers, from {} on edited, in {} stages", layers, first_edited, stages));
}

}  // namespace

bool layers_fit(std::int64_t layers, std::int64_t first_edited, int stages, const LayerCosts& costs,
                std::int64_t memory) {
  check_stages(layers, first_edited, stages);
  return layers >= stages && Search(layers, first_edited, stages, costs).fits(memory);
}

std::optional<LayerCut> layer_partition(std::int64_t layers, std::int64_t first_edited, int stages,
                                        const LayerCosts& costs, std::int64_t memory, double slack) {
  io::check(slack >= 0, "a slack below 0");
  check_stages(layers, first_edited, stages);
  if (layers < stages) return std::nullopt;
  Search search(layers, first_edited, stages, costs);
  if (!search.fits(memory)) return std::nullopt;
  search.list_works();
  auto found = search.fastest(memory, no_limit);
  const std::int64_t most = found->work + static_cast<std::int64_t>(slack * static_cast<double>(found->work));
  std::int64_t too_little = 0;
  while (found->bytes - too_little > 1 + found->bytes / 200) {
    const std::int64_t middle = too_little + (found->bytes - too_little) / 2;
    if (auto emptier = search.fastest(middle, most)) {
      found = std::move(emptier);
    } else {
      too_little = middle;
    }
  }
  return found;
}

}  // namespace anchorage::sharding
