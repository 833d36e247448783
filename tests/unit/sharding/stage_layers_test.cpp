#include "sharding/stage_layers.hpp"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "io/error.hpp"

namespace anchorage::sharding {
namespace {

using testing::ElementsAre;

TEST(StageLayers, AStageOfTwoRangesKnowsItsLayersAndTheirPlaces) {
  const StageLayers stage({{2, 4}, {7, 10}});
  EXPECT_EQ(stage.size(), 5);
  EXPECT_THAT(stage.layers(), ElementsAre(2, 3, 7, 8, 9));
  EXPECT_FALSE(stage.contains(1) || stage.contains(4) || stage.contains(6) || stage.contains(10));
  std::int64_t place = 0;
  for (const std::int64_t layer : stage.layers()) EXPECT_EQ(stage.below(layer), place++);
}

TEST(StageLayers, TouchingRangesAreOneAndEmptyOnesNone) {
  EXPECT_EQ(StageLayers({{0, 3}, {3, 5}}), StageLayers(0, 5));
  EXPECT_EQ(StageLayers({{0, 3}, {4, 4}}), StageLayers(0, 3));
  EXPECT_EQ(StageLayers({{3, 3}}).size(), 0);
  EXPECT_THROW(StageLayers({{3, 5}, {4, 6}}), io::InternalError);
  EXPECT_THROW(StageLayers({{3, 5}, {0, 2}}), io::InternalError);
}

TEST(StageLayers, EveryLayerIsFoundOnItsStage) {
  const std::vector<StageLayers> stages = {StageLayers({{0, 2}, {4, 6}}), StageLayers({{2, 4}, {6, 9}})};
  std::vector<int> found;
  for (std::int64_t layer = 0; layer < 9; ++layer) found.push_back(stage_of(layer, stages));
  EXPECT_THAT(found, ElementsAre(0, 0, 1, 1, 0, 0, 1, 1, 1));
  EXPECT_THROW((void)stage_of(9, stages), io::InternalError);
}

}  // namespace
}  // namespace anchorage::sharding
