#include "sharding/layer_partition.hpp"

#include <gtest/gtest.h>

#include <algorithm>
#include <limits>
#include <utility>

#include "io/error.hpp"

namespace anchorage::sharding {
namespace {

constexpr std::int64_t no_limit = std::numeric_limits<std::int64_t>::max() - 1;

// Layers of differing costs, with an embedding before the first and a head after the last, and least-squares
// state that is not a sum: two replicas share a stage's edited layers, which are the odd ones.
struct Model {
  std::int64_t layers;
  int seed;

  StageCost operator()(Range range) const {
    StageCost cost;
    std::int64_t edited = 0;
    for (std::int64_t layer = range.begin; layer < range.end; ++layer) {
      cost.bytes += 3 + (layer * 5 + seed) % 4;
      cost.work += 2 + (layer * layer + 3 * seed) % 5;
      edited += layer % 2;
    }
    if (range.begin == 0) cost.bytes += 6;
    if (range.end == layers) cost.bytes += 5, cost.work += 4;
    cost.bytes += (edited + 1) / 2 * 4;
    return cost;
  }
};

// Work of the slowest and bytes of the fullest stage.
std::pair<std::int64_t, std::int64_t> worst_of(const std::vector<Range>& stages, const CostOfLayers& cost) {
  std::pair<std::int64_t, std::int64_t> worst;
  for (const Range& stage : stages) {
    worst.first = std::max(worst.first, cost(stage).work);
    worst.second = std::max(worst.second, cost(stage).bytes);
  }
  return worst;
}

// Every way to cut [begin, layers) into so many ranges after those in `before`.
void in_all_cuts(std::int64_t begin, std::int64_t layers, int stages, std::vector<Range>& before,
                 const std::function<void(const std::vector<Range>&)>& body) {
  if (stages == 0) {
    if (begin == layers) body(before);
    return;
  }
  for (std::int64_t end = begin + 1; end <= layers; ++end) {
    before.push_back({begin, end});
    in_all_cuts(end, layers, stages - 1, before, body);
    before.pop_back();
  }
}

template <typename Body>
void in_all_small_worlds(Body body) {
  for (std::int64_t layers = 1; layers <= 8; ++layers) {
    for (int stages = 1; stages <= 5; ++stages) {
      for (int seed = 0; seed < 4; ++seed) {
        for (const std::int64_t memory : {std::int64_t{0}, std::int64_t{20}, std::int64_t{28}, no_limit}) {
          body(Model{layers, seed}, stages, memory);
        }
      }
    }
  }
}

TEST(LayerPartition, NoOtherCutThatFitsIsFasterOrAsFastAndEmptier) {
  in_all_small_worlds([](const Model& model, int stages, std::int64_t memory) {
    std::pair best{std::numeric_limits<std::int64_t>::max(), std::numeric_limits<std::int64_t>::max()};
    bool fits = false;
    std::vector<Range> before;
    in_all_cuts(0, model.layers, stages, before, [&](const std::vector<Range>& cut) {
      const auto worst = worst_of(cut, model);
      if (worst.second > memory) return;
      fits = true;
      best = std::min(best, worst);
    });
    const auto found = layer_partition(model.layers, stages, model, memory);
    ASSERT_EQ(found.has_value(), fits) << model.layers << " layers in " << stages << " stages, " << memory;
    if (found) {
      EXPECT_EQ(worst_of(*found, model), best);
    }
  });
}

TEST(LayerPartition, WithinTheSlackNoOtherCutIsEmptier) {
  in_all_small_worlds([](const Model& model, int stages, std::int64_t memory) {
    const auto fastest = layer_partition(model.layers, stages, model, memory);
    if (!fastest) return;
    const std::int64_t allowed = worst_of(*fastest, model).first * 5 / 4;
    std::int64_t emptiest = std::numeric_limits<std::int64_t>::max();
    std::vector<Range> before;
    in_all_cuts(0, model.layers, stages, before, [&](const std::vector<Range>& cut) {
      const auto [work, bytes] = worst_of(cut, model);
      if (work <= allowed) emptiest = std::min(emptiest, bytes);
    });
    const auto found = layer_partition(model.layers, stages, model, memory, 0.25);
    EXPECT_LE(worst_of(*found, model).first, allowed);
    EXPECT_EQ(worst_of(*found, model).second, emptiest);
  });
}

TEST(LayerPartition, StagesAreContiguousAndHoldEveryLayerOnce) {
  in_all_small_worlds([](const Model& model, int stages, std::int64_t memory) {
    const auto found = layer_partition(model.layers, stages, model, memory);
    if (!found) return;
    ASSERT_EQ(std::ssize(*found), stages);
    std::int64_t begin = 0;
    for (const Range& stage : *found) {
      EXPECT_EQ(stage.begin, begin);
      EXPECT_GT(stage.size(), 0);
      begin = stage.end;
    }
    EXPECT_EQ(begin, model.layers);
    for (std::int64_t layer = 0; layer < model.layers; ++layer) {
      EXPECT_TRUE((*found)[static_cast<std::size_t>(stage_of(layer, *found))].contains(layer));
    }
  });
}

TEST(LayerPartition, EqualLayersAreSpreadEvenly) {
  const CostOfLayers equal = [](Range range) { return StageCost{range.size(), range.size()}; };
  for (std::int64_t layers = 1; layers <= 100; ++layers) {
    for (int stages = 1; stages <= 16 && stages <= layers; ++stages) {
      const auto found = layer_partition(layers, stages, equal, no_limit);
      EXPECT_EQ(worst_of(*found, equal).first, (layers + stages - 1) / stages);
    }
  }
}

TEST(LayerPartition, MoreStagesThanLayersDoNotFit) {
  EXPECT_FALSE(layer_partition(2, 3, Model{2, 0}, no_limit));
}

TEST(LayerPartition, NoStagesAndALayerOutsideAreInternalErrors) {
  EXPECT_THROW((void)layer_partition(2, 0, Model{2, 0}, no_limit), io::InternalError);
  EXPECT_THROW((void)stage_of(4, {{0, 2}, {2, 4}}), io::InternalError);
}

}  // namespace
}  // namespace anchorage::sharding
