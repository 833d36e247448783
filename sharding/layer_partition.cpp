#include "sharding/layer_partition.hpp"

#include <fmt/format.h>

#include <algorithm>
#include <limits>

#include "io/error.hpp"

namespace anchorage::sharding {
namespace {

constexpr std::int64_t impossible = std::numeric_limits<std::int64_t>::max();

// The costs of all ranges, each computed once.
class Costs {
 public:
  Costs(std::int64_t layers, const CostOfLayers& cost) : layers_(layers) {
    for (std::int64_t begin = 0; begin < layers; ++begin) {
      for (std::int64_t end = begin + 1; end <= layers; ++end) costs_.push_back(cost({begin, end}));
    }
  }

  const StageCost& operator()(Range range) const {
    const std::int64_t before = range.begin * layers_ - range.begin * (range.begin - 1) / 2;
    return costs_[static_cast<std::size_t>(before + range.size() - 1)];
  }

 private:
  std::int64_t layers_;
  std::vector<StageCost> costs_;
};

struct Cut {
  std::int64_t largest = impossible;
  std::vector<Range> stages;
};

// Finds the cut whose largest `value` is smallest; never takes a range of value `impossible`.
template <typename Value>
Cut smallest_largest(std::int64_t layers, int stages, Value value) {
  // For [0, end) in a number of stages: the smallest largest value, and where its last stage begins.
  struct Best {
    std::int64_t largest = impossible;
    std::int64_t last_begin = 0;
  };
  const auto width = static_cast<std::size_t>(layers + 1);
  std::vector<std::vector<Best>> best(static_cast<std::size_t>(stages) + 1, std::vector<Best>(width));
  best[0][0].largest = 0;
  for (std::size_t count = 1; count < best.size(); ++count) {
    for (std::int64_t end = 1; end <= layers; ++end) {
      Best& found = best[count][static_cast<std::size_t>(end)];
      for (std::int64_t begin = 0; begin < end; ++begin) {
        const std::int64_t before = best[count - 1][static_cast<std::size_t>(begin)].largest;
        if (before >= found.largest) continue;
        const std::int64_t largest = std::max(before, value(Range{begin, end}));
        if (largest < found.largest) found = {largest, begin};
      }
    }
  }
  Cut cut{.largest = best.back().back().largest, .stages = {}};
  if (cut.largest == impossible) return cut;
  std::int64_t end = layers;
  for (std::size_t count = best.size() - 1; count > 0; --count) {
    const std::int64_t begin = best[count][static_cast<std::size_t>(end)].last_begin;
    cut.stages.insert(cut.stages.begin(), {begin, end});
    end = begin;
  }
  return cut;
}

}  // namespace

std::optional<std::vector<Range>> layer_partition(std::int64_t layers, int stages, const CostOfLayers& cost,
                                                  std::int64_t memory, double slack) {
  io::check(stages > 0 && slack >= 0, fmt::format("{} layers in {} stages", layers, stages));
  if (layers < stages) return std::nullopt;
  const Costs costs(layers, cost);
  const Cut fastest = smallest_largest(layers, stages, [&](Range range) {
    const StageCost& one = costs(range);
    return one.bytes <= memory ? one.work : impossible;
  });
  if (fastest.largest == impossible) return std::nullopt;
  const std::int64_t slowest =
      fastest.largest + static_cast<std::int64_t>(slack * static_cast<double>(fastest.largest));
  return smallest_largest(layers, stages,
                          [&](Range range) {
                            const StageCost& one = costs(range);
                            return one.bytes <= memory && one.work <= slowest ? one.bytes : impossible;
                          })
      .stages;
}

int stage_of(std::int64_t layer, const std::vector<Range>& stages) {
  const auto found = std::ranges::find_if(stages, [&](const Range& range) { return range.contains(layer); });
  io::check(found != stages.end(), fmt::format("layer {} is held by no stage", layer));
  return static_cast<int>(found - stages.begin());
}

}  // namespace anchorage::sharding
