#include "coordinator/workload.hpp"

#include <gtest/gtest.h>

#include "tests/unit/coordinator/planned_models.hpp"

namespace anchorage::coordinator {
namespace {

using sharding::StageLayers;

// The authors' counts of parameters, with bf16's two bytes each and the few rotary frequencies beside them.
TEST(Workload, WeightsOfWholeModelsAreThePublishedParameters) {
  const auto weights = [](const io::ModelConfig& model) {
    return weight_bytes_of(request(model, {}, 1, 80).workload, {0, model.layers});
  };
  EXPECT_EQ(weights(llama2_13b()), 2 * 13'015'864'320 + 128 / 2 * 8);
  EXPECT_EQ(weights(llama(32, 4096, 14336, 32, 8, 128256, false)), 2 * 8'030'261'248 + 128 / 2 * 8);
  EXPECT_EQ(weights(smollm2_135m()), 2 * 134'515'008 + 64 / 2 * 8);
  EXPECT_EQ(weights(gpt2_xl()), 2 * std::int64_t{1'557'611'200});
}

TEST(Workload, ATiedEmbeddingIsHeldOnceByEachStageThatNeedsIt) {
  for (const io::ModelConfig& model : {smollm2_135m(), gpt2_xl()}) {
    const auto weights = [&](const StageLayers& layers) {
      return weight_bytes_of(request(model, {}, 2, 80).workload, layers);
    };
    const std::int64_t rotary = model.family == io::Family::gpt2 ? 0 : model.head_dim / 2 * 8;
    EXPECT_EQ(weights({0, 5}) + weights({5, model.layers}),
              weights({0, model.layers}) + 2 * model.vocabulary * model.d_model + rotary);
    EXPECT_LT(weights({5, 10}), weights({0, 5}));
  }
}

TEST(Workload, TwoRangesWeighWhatTheirLayersDo) {
  const Workload workload = request(llama2_13b(), {6, 7}, 2, 80).workload;
  EXPECT_EQ(weight_bytes_of(workload, StageLayers({{0, 2}, {6, 20}})), weight_bytes_of(workload, {0, 16}));
}

TEST(Workload, StepsRunThroughTheLayersAfterTheFirstEditedOne) {
  const Workload workload = request(llama2_13b(), {6, 7, 8}, 2, 80).workload;
  EXPECT_EQ(workload.lower_layers(), 6);
  EXPECT_EQ(workload.step_layers(StageLayers({{0, 3}, {6, 23}})), 16);
  EXPECT_EQ(workload.step_layers(StageLayers({{3, 6}, {23, 40}})), 17);
  EXPECT_EQ(workload.edited_in(StageLayers({{0, 3}, {6, 8}})), 2);
  EXPECT_EQ(request(llama2_13b(), {}, 2, 80).workload.step_layers({0, 40}), 0);
}

TEST(Workload, AGroupIsNoLargerThanTheBatch) {
  auto wanted = request(smollm2_135m(), {4}, 1, 80);
  wanted.workload.batch = 3;
  EXPECT_EQ(group_tokens(wanted.workload, wanted.machine).edits, 3);
  wanted.workload.batch = 64;
  EXPECT_EQ(group_tokens(wanted.workload, wanted.machine).edits, 64);  // whole: kernels are short
}

}  // namespace
}  // namespace anchorage::coordinator
