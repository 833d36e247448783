// Updates that wait beside the masters, in f32 and in bf16.
#include "worker/editing/update/edited_weights.hpp"

#include <gtest/gtest.h>
#include <torch/utils.h>

#include "tests/unit/worker/model/golden_model.hpp"
#include "worker/model/load.hpp"

namespace anchorage::worker {
namespace {

class EditedWeightsOf : public testing::TestWithParam<torch::ScalarType> {
 protected:
  void SetUp() override { torch::manual_seed(2); }

  const torch::Tensor& of_model(std::int64_t layer) const { return model.block(layer).down.weight; }
  torch::Tensor in_dtype(const torch::Tensor& weight) const { return weight.to(GetParam()); }

  struct Update {
    torch::Tensor u, v;
  };
  Update drawn() const {
    return {.u = 0.1 * torch::randn({model.config.d_model, 3}), .v = torch::randn({model.config.d_ff, 3})};
  }

  const io::ModelDirectory directory = tests::golden_model("llama_tied").directory;
  Transformer model = load_transformer(directory, {.device = torch::kCPU, .dtype = GetParam()});
};

INSTANTIATE_TEST_SUITE_P(Dtypes, EditedWeightsOf, testing::Values(torch::kFloat, torch::kBFloat16),
                         [](const auto& dtype) { return torch::toString(dtype.param); });

TEST_P(EditedWeightsOf, TheModelComputesWithWhatWaitsAndTheMasterTakesItInWhenItIsAccepted) {
  EditedWeights weights(model, directory, {1, 2});
  const auto base = weights.base(1);
  const Update one = drawn(), two = drawn();
  weights.add(1, one.u, one.v);
  weights.add(1, two.u, two.v);
  const auto expected = at::addmm(at::addmm(base, one.u, one.v.t()), two.u, two.v.t());
  EXPECT_TRUE(at::equal(weights.master(1), base));
  EXPECT_TRUE(at::equal(of_model(1), in_dtype(expected)));
  weights.accept();
  EXPECT_TRUE(at::equal(weights.master(1), expected));
  EXPECT_TRUE(at::equal(of_model(1), in_dtype(expected)));
  EXPECT_TRUE(at::equal(weights.master(2), weights.base(2)));
}

TEST_P(EditedWeightsOf, WhatIsForgottenLeavesNothingBehind) {
  EditedWeights weights(model, directory, {1, 2});
  const auto base = weights.base(1);
  const Update removal = drawn(), tried = drawn(), kept = drawn();
  weights.add(1, removal.u, removal.v);
  const auto mark = weights.mark();
  weights.add(1, tried.u, tried.v);
  weights.add(2, tried.u, tried.v);
  weights.rewind(mark);
  EXPECT_TRUE(at::equal(of_model(1), in_dtype(at::addmm(base, removal.u, removal.v.t()))));
  EXPECT_TRUE(at::equal(of_model(2), in_dtype(weights.base(2))));
  weights.add(1, kept.u, kept.v);
  weights.discard();
  EXPECT_TRUE(at::equal(of_model(1), in_dtype(base)));
  weights.accept();
  EXPECT_TRUE(at::equal(weights.master(1), base));
}

TEST_P(EditedWeightsOf, AReplayGivesTheBitsOfWhatWasAccepted) {
  Transformer again = load_transformer(directory, {.device = torch::kCPU, .dtype = GetParam()});
  EditedWeights written(model, directory, {1}), replayed(again, directory, {1});
  for (int batch = 0; batch < 3; ++batch) {
    const Update update = drawn();
    written.add(1, update.u, update.v);
    written.accept();
    replayed.replay(1, update.u, update.v);
  }
  EXPECT_TRUE(at::equal(replayed.master(1), written.master(1)));
  EXPECT_TRUE(at::equal(again.block(1).down.weight, of_model(1)));
}

TEST_P(EditedWeightsOf, NormsAreThoseOfTheWeightWithWhatWaits) {
  EditedWeights weights(model, directory, {1});
  const Update first = drawn(), update = drawn();
  weights.add(1, first.u, first.v);
  weights.accept();
  weights.add(1, update.u, update.v);
  const auto base = weights.base(1);
  const auto change = at::mm(first.u, first.v.t()) + at::mm(update.u, update.v.t());
  const io::LayerNorms norms = weights.norms(1, update.u, update.v);
  EXPECT_NEAR(norms.update, at::mm(update.u, update.v.t()).norm().item<double>(), 1e-5 * norms.update);
  EXPECT_NEAR(norms.total, change.norm().item<double>(), 1e-5 * norms.total);
  EXPECT_NEAR(norms.base, base.norm().item<double>(), 1e-5 * norms.base);
}

}  // namespace
}  // namespace anchorage::worker
