#include "sharding/layer_partition.hpp"

#include <gtest/gtest.h>

#include <algorithm>
#include <limits>
#include <utility>

#include "io/error.hpp"

namespace anchorage::sharding {
namespace {

constexpr std::int64_t no_limit = std::numeric_limits<std::int64_t>::max() / 2;

// Layers of differing costs, with an embedding before the first and a head after the last; the upper ones cost the
// first stages more, which hold the activations of more groups.
struct Model {
  std::int64_t layers, first_edited;
  int seed;

  StageCost lower(Range range) const {
    StageCost cost;
    for (std::int64_t layer = range.begin; layer < range.end; ++layer) {
      cost.bytes += 3 + (layer * 5 + seed) % 4;
      cost.work += 1 + (layer + seed) % 3;
    }
    if (range.begin == 0) cost.bytes += 6;
    return cost;
  }

  StageCost upper(int stage, Range range) const {
    StageCost cost{.bytes = 1};
    for (std::int64_t layer = range.begin; layer < range.end; ++layer) {
      cost.bytes += 3 + (layer * 5 + seed) % 4 + (stage == 0 ? 1 : 0);
      cost.work += 2 + (layer * layer + 3 * seed) % 5;
    }
    if (range.begin == 0 && range.size() > 0) cost.bytes += 6;
    if (range.end == layers) cost.bytes += 5, cost.work += 4;
    return cost;
  }

  LayerCosts costs() const {
    return {.lower = [*this](Range range) { return lower(range); },
            .upper = [*this](int stage, Range range) { return upper(stage, range); }};
  }
};

struct Cut {
  std::vector<Range> lower, upper;
};

// Work of the slowest stages and bytes of the fullest.
std::pair<std::int64_t, std::int64_t> worst_of(const Cut& cut, const Model& model) {
  std::int64_t lower_work = 0, upper_work = 0, bytes = 0;
  for (std::size_t stage = 0; stage < cut.upper.size(); ++stage) {
    const StageCost upper = model.upper(static_cast<int>(stage), cut.upper[stage]);
    const StageCost lower = cut.lower[stage].size() > 0 ? model.lower(cut.lower[stage]) : StageCost{};
    lower_work = std::max(lower_work, lower.work);
    upper_work = std::max(upper_work, upper.work);
    bytes = std::max(bytes, lower.bytes + upper.bytes);
  }
  return {lower_work + upper_work, bytes};
}

// Every way to cut [begin, end) into so many ranges, of which may be empty those that `may_be_empty` says.
void in_all_cuts(std::int64_t begin, std::int64_t end, int stages, std::vector<Range>& before,
                 const std::function<bool(int stage)>& may_be_empty,
                 const std::function<void(const std::vector<Range>&)>& body) {
  const auto stage = static_cast<int>(before.size());
  if (stage == stages) {
    if (begin == end) body(before);
    return;
  }
  for (std::int64_t next = begin + (may_be_empty(stage) ? 0 : 1); next <= end; ++next) {
    before.push_back({begin, next});
    in_all_cuts(next, end, stages, before, may_be_empty, body);
    before.pop_back();
  }
}

void in_all_cuts(const Model& model, int stages, const std::function<void(const Cut&)>& body) {
  const std::int64_t without_upper = std::max<std::int64_t>(0, stages - (model.layers - model.first_edited));
  std::vector<Range> lower, upper;
  const auto lower_may = [&](int stage) {
    return model.first_edited == 0 || (stage > 0 && stage >= without_upper);
  };
  const auto upper_may = [&](int stage) { return stage < without_upper; };
  in_all_cuts(0, model.first_edited, stages, lower, lower_may, [&](const std::vector<Range>& below) {
    in_all_cuts(model.first_edited, model.layers, stages, upper, upper_may, [&](const std::vector<Range>& above) {
      for (std::size_t stage = 0; stage < above.size(); ++stage) {
        const bool without = static_cast<std::int64_t>(stage) < without_upper;
        if (without && (above[stage].size() > 0 || below[stage].size() == 0)) return;
      }
      body({below, above});
    });
  });
}

template <typename Body>
void in_all_small_partitions(Body body) {
  for (std::int64_t layers = 1; layers <= 7; ++layers) {
    for (std::int64_t first = 0; first < layers; ++first) {
      for (int stages = 1; stages <= 4; ++stages) {
        for (int seed = 0; seed < 3; ++seed) {
          for (const std::int64_t memory : {std::int64_t{0}, std::int64_t{20}, std::int64_t{28}, no_limit})
            body(Model{layers, first, seed}, stages, memory);
        }
      }
    }
  }
}

Cut parts_of(const LayerCut& cut, const Model& model) {
  Cut parts;
  std::int64_t lower = 0, upper = model.first_edited;
  for (const StageLayers& stage : cut.stages) {
    const std::int64_t below = stage.below(model.first_edited);
    parts.lower.push_back({lower, lower + below});
    parts.upper.push_back({upper, upper + stage.size() - below});
    lower += below;
    upper += stage.size() - below;
  }
  return parts;
}

TEST(LayerPartition, NoOtherCutThatFitsIsFasterOrAsFastAndEmptier) {
  in_all_small_partitions([](const Model& model, int stages, std::int64_t memory) {
    std::pair best{std::numeric_limits<std::int64_t>::max(), std::numeric_limits<std::int64_t>::max()};
    in_all_cuts(model, stages, [&](const Cut& cut) {
      const auto worst = worst_of(cut, model);
      if (worst.second <= memory) best = std::min(best, worst);
    });
    const bool fits = best.first != std::numeric_limits<std::int64_t>::max();
    const auto found = layer_partition(model.layers, model.first_edited, stages, model.costs(), memory);
    ASSERT_EQ(found.has_value(), fits) << model.layers << " layers, from " << model.first_edited << ", in "
                                       << stages << " stages, " << memory;
    if (!found) return;
    EXPECT_EQ(worst_of(parts_of(*found, model), model), best);
    EXPECT_EQ(std::pair(found->work, found->bytes), best);
  });
}

TEST(LayerPartition, WithinTheSlackNoOtherCutIsEmptier) {
  in_all_small_partitions([](const Model& model, int stages, std::int64_t memory) {
    const auto fastest = layer_partition(model.layers, model.first_edited, stages, model.costs(), memory);
    if (!fastest) return;
    const std::int64_t allowed = fastest->work * 5 / 4;
    std::int64_t emptiest = std::numeric_limits<std::int64_t>::max();
    in_all_cuts(model, stages, [&](const Cut& cut) {
      const auto [work, bytes] = worst_of(cut, model);
      if (work <= allowed) emptiest = std::min(emptiest, bytes);
    });
    const auto found = layer_partition(model.layers, model.first_edited, stages, model.costs(), memory, 0.25);
    EXPECT_LE(found->work, allowed);
    EXPECT_EQ(found->bytes, emptiest);
  });
}

TEST(LayerPartition, StagesHoldEveryLayerOnceAndTheFirstOneTheEmbedding) {
  in_all_small_partitions([](const Model& model, int stages, std::int64_t memory) {
    const auto found = layer_partition(model.layers, model.first_edited, stages, model.costs(), memory);
    if (!found) return;
    ASSERT_EQ(std::ssize(found->stages), stages);
    EXPECT_TRUE(found->stages.front().contains(0));
    EXPECT_TRUE(found->stages.back().contains(model.layers - 1));
    for (std::int64_t layer = 0; layer < model.layers; ++layer) {
      EXPECT_EQ(std::ranges::count_if(found->stages, [&](const StageLayers& one) { return one.contains(layer); }),
                1);
    }
    for (const StageLayers& stage : found->stages) EXPECT_GT(stage.size(), 0);
  });
}

TEST(LayerPartition, EqualLayersAreSpreadEvenlyBelowAndFromTheFirstEditedOneOn) {
  const LayerCosts equal{.lower =
                             [](Range range) {
                               return StageCost{range.size(), range.size()};
                             },
                         .upper =
                             [](int, Range range) {
                               return StageCost{range.size(), range.size()};
                             }};
  for (const std::int64_t first : {0, 5, 17}) {
    for (int stages = 1; stages <= 16; ++stages) {
      const std::int64_t upper = 60 - first;
      const auto found = layer_partition(60, first, stages, equal, no_limit);
      EXPECT_EQ(found->work, (upper + stages - 1) / stages + (first + stages - 1) / stages);
    }
  }
}

TEST(LayerPartition, AStageWithoutRoomForItsUpperLayersGetsFewerLowerOnes) {
  const LayerCosts costs{.lower =
                             [](Range range) {
                               return StageCost{10 * range.size(), range.size()};
                             },
                         .upper =
                             [](int stage, Range range) {
                               return StageCost{10 * range.size() + (stage == 0 ? 20 : 0), 100 * range.size()};
                             }};
  const auto found = layer_partition(12, 4, 2, costs, 70);
  ASSERT_TRUE(found.has_value());
  EXPECT_EQ(found->stages[0], StageLayers({{0, 1}, {4, 8}}));
  EXPECT_EQ(found->stages[1], StageLayers({{1, 4}, {8, 12}}));
}

TEST(LayerPartition, MoreStagesThanLayersDoNotFit) {
  EXPECT_FALSE(layer_partition(2, 0, 3, Model{2, 0, 0}.costs(), no_limit));
}

TEST(LayerPartition, NoStagesAndALayerOutsideAreInternalErrors) {
  EXPECT_THROW((void)layer_partition(2, 0, 0, Model{2, 0, 0}.costs(), no_limit), io::InternalError);
  EXPECT_THROW((void)layer_partition(2, 2, 1, Model{2, 0, 0}.costs(), no_limit), io::InternalError);
}

}  // namespace
}  // namespace anchorage::sharding
