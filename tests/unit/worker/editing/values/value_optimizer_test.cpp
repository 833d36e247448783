#include "worker/editing/values/value_optimizer.hpp"

#include <gtest/gtest.h>
#include <torch/optim/adam.h>
#include <torch/utils.h>

#include "tests/unit/worker/model/golden_model.hpp"

namespace anchorage::worker {
namespace {

using tests::expect_close;

std::vector<EditPrompts> three_unlike_edits() {
  EditPrompts first, second, third;
  first.rewrites = {{{5, 6, 7, 8, 9}, 2, 4}, {{20, 21, 22, 5, 6, 7, 8, 9}, 5, 7}};
  first.kl_prompt = {{6, 7, 30, 31}, 1, 3};
  first.target = {40};
  second.rewrites = {{{11, 12, 13, 41, 42}, 1, 2}, {{20, 21, 22, 11, 12, 13, 41, 42}, 4, 5}};
  second.kl_prompt = {{11, 12, 30, 31}, 1, 3};
  second.target = {41, 42, 43};
  third.rewrites = {{{14, 15, 16, 17}, 1, 3}, {{20, 21, 22, 14, 15, 16, 17}, 4, 6}};
  third.kl_prompt = {{15, 30, 31}, 0, 2};
  third.target = {50};
  return {first, second, third};
}

io::Hparams hparams() {
  io::Hparams hparams;
  hparams.layers = {1, 2};
  hparams.v_loss_layer = 3;
  hparams.v_num_grad_steps = 12;
  hparams.v_lr = 0.1;
  hparams.clamp_norm_factor = 20;
  hparams.v_weight_decay = 1e-3;  // the residual stream of these models is short
  hparams.early_stop_loss = 0.05;
  hparams.eac_locate_steps = 4;
  hparams.eac_compress_steps = 6;
  hparams.eac_anchor_ratio = 0.25;
  return hparams;
}

class ValueOptimizer : public testing::Test {
 protected:
  InjectedForward forward(std::vector<EditPrompts> edits) const {
    return {model, std::move(edits), {.layers = {2}, .loss_layer = 3}};
  }

  InjectedForward filled(std::vector<EditPrompts> edits) const {
    InjectedForward group = forward(std::move(edits));
    group.fill();
    return group;
  }

  // The values of one group.
  template <class Optimize>
  torch::Tensor values_of(Optimize optimize, std::vector<EditPrompts> edits, const io::Hparams& options) const {
    std::vector<InjectedForward> groups;
    groups.push_back(forward(std::move(edits)));
    return optimize(std::move(groups), options).front().values;
  }

  const Transformer model = load_transformer(tests::golden_model("llama_tied").directory);
};

// The objective of method.md section 1 minimized by torch's own Adam, one edit alone, with the projection after
// each step.
torch::Tensor by_torch_adam(const InjectedForward& forward, const io::Hparams& hparams) {
  auto delta = torch::zeros({1, 1, forward.d_model()}).requires_grad_(true);
  torch::optim::Adam adam({delta}, torch::optim::AdamOptions(hparams.v_lr));
  const double norm = forward.norms().item<double>();
  for (int evaluation = 0; evaluation < hparams.v_num_grad_steps; ++evaluation) {
    adam.zero_grad();
    const InjectedLoss loss = forward.loss(delta);
    auto objective = loss.nll.sum() + hparams.kl_factor * loss.kl.sum();
    if (evaluation > 0) objective = objective + hparams.v_weight_decay * delta.norm() / (norm * norm);
    if (objective.item<double>() < hparams.early_stop_loss || evaluation + 1 == hparams.v_num_grad_steps) break;
    objective.backward();
    adam.step();
    const torch::NoGradGuard no_gradients;
    const double length = delta.norm().item<double>(), longest = hparams.clamp_norm_factor * norm;
    if (length > longest) delta.mul_(longest / length);
  }
  return delta.detach();
}

TEST_F(ValueOptimizer, TakesTheStepsOfTorchsAdam) {
  for (const auto& edit : three_unlike_edits()) {
    const auto values = values_of(optimize_values, {edit}, hparams());
    expect_close(values, by_torch_adam(filled({edit}), hparams()), 2e-4);
  }
}

TEST_F(ValueOptimizer, ABatchGivesWhatEachOfItsEditsGivesAlone) {
  for (const auto optimizer : {io::ValueOptimizer::adam, io::ValueOptimizer::ngd}) {
    auto options = hparams();
    options.v_optimizer = optimizer;
    const auto together = values_of(optimize_values, three_unlike_edits(), options);
    for (std::int64_t edit = 0; edit < 3; ++edit) {
      const auto alone =
          values_of(optimize_values, {three_unlike_edits()[static_cast<std::size_t>(edit)]}, options);
      expect_close(together[edit], alone[0], 1e-3);
    }
  }
}

TEST_F(ValueOptimizer, LowersTheLossOfEveryEdit) {
  for (const auto optimizer : {io::ValueOptimizer::adam, io::ValueOptimizer::ngd}) {
    auto options = hparams();
    options.v_optimizer = optimizer;
    const auto values = values_of(optimize_values, three_unlike_edits(), options);
    const torch::NoGradGuard no_gradients;
    const auto nll = [&](const torch::Tensor& injected) { return filled(three_unlike_edits()).loss(injected).nll; };
    EXPECT_TRUE(nll(values).lt(nll(torch::zeros_like(values))).all().item<bool>());
  }
}

TEST_F(ValueOptimizer, StaysInTheBall) {
  auto options = hparams();
  options.clamp_norm_factor = 0.05;
  const auto limits = options.clamp_norm_factor * filled(three_unlike_edits()).norms();
  const auto lengths = values_of(optimize_values, three_unlike_edits(), options).flatten(1).norm(2, 1);
  EXPECT_TRUE(lengths.le(limits * 1.00001).all().item<bool>());
  EXPECT_TRUE(lengths.ge(limits * 0.99).any().item<bool>())
      << "the limit was never reached: the test proves nothing";
}

TEST_F(ValueOptimizer, StopsAnEditAsSoonAsItsTargetIsTheArgmaxWhenAskedTo) {
  auto options = hparams();
  options.v_num_grad_steps = 80;
  options.v_lr = 0.5;
  options.v_weight_decay = 0;
  options.early_stop_loss = 0;
  options.early_stop = io::EarlyStop::argmax;
  // Injected where the prediction is made, so that any target is in reach.
  auto edits = three_unlike_edits();
  for (EditPrompts& edit : edits) {
    for (PromptRow& row : edit.rewrites) row.subject_last = row.predicts_from;
  }
  // An edit that has stopped is where it was with more steps left.
  const auto values_after = [&](int steps) {
    options.v_num_grad_steps = steps;
    return values_of(optimize_values, edits, options);
  };
  const auto stopped_before = [&](int steps) {
    return values_after(steps).eq(values_after(steps + 1)).flatten(1).all(1);
  };
  const auto matches_after = [&](int steps) {
    const torch::NoGradGuard no_gradients;
    return filled(edits).loss(values_after(steps)).matches;
  };
  EXPECT_TRUE(matches_after(80).any().item<bool>());
  for (const int steps : {1, 5, 20, 80})
    EXPECT_TRUE(at::equal(stopped_before(steps), matches_after(steps))) << "after " << steps << " evaluations";
  options.early_stop = io::EarlyStop::loss;
  EXPECT_FALSE(stopped_before(79).any().item<bool>());
}

TEST_F(ValueOptimizer, AnchoredValuesLieOnAsManyAnchorsAsTheRatioSays) {
  const auto values = values_of(optimize_anchored_values, three_unlike_edits(), hparams());
  const auto anchors = values.flatten(1).ne(0).sum(1);
  EXPECT_TRUE(anchors.eq(model.config.d_model / 4).all().item<bool>()) << anchors;
}

TEST_F(ValueOptimizer, AnchorsAreTheEntriesOfHighestSaliency) {
  auto options = hparams();
  options.eac_compress_steps = 1;  // the anchors of the dense vector, before any step on them
  const auto anchored = values_of(optimize_anchored_values, {three_unlike_edits()[0]}, options).flatten();
  // The dense steps again, with the gradient by torch's own backward pass.
  auto delta = torch::zeros({1, 1, model.config.d_model});
  auto gradient = torch::zeros_like(delta), first = torch::zeros_like(delta), second = torch::zeros_like(delta);
  const InjectedForward group = filled({three_unlike_edits()[0]});
  const double norm = group.norms().item<double>();
  for (int step = 1; step <= options.eac_locate_steps; ++step) {
    auto point = delta.clone().requires_grad_(true);
    const InjectedLoss loss = group.loss(point);
    auto objective = loss.nll.sum() + options.kl_factor * loss.kl.sum();
    if (step > 1) objective = objective + options.v_weight_decay * point.norm() / (norm * norm);
    objective.backward();
    gradient += point.grad() / options.eac_locate_steps;
    first = 0.9 * first + 0.1 * point.grad();
    second = 0.999 * second + 0.001 * point.grad().square();
    delta = delta - options.v_lr * (first / (1 - std::pow(0.9, step))) /
                        ((second / (1 - std::pow(0.999, step))).sqrt() + 1e-8);
    delta = delta * std::min(1.0, options.clamp_norm_factor * norm / delta.norm().item<double>());
  }
  const auto saliency = (gradient * delta).abs().flatten();
  const auto chosen = saliency.masked_select(anchored.ne(0)), left = saliency.masked_select(anchored.eq(0));
  EXPECT_EQ(chosen.numel(), model.config.d_model / 4);
  EXPECT_GE(chosen.min().item<double>(), left.max().item<double>() * (1 - 1e-4));
}

TEST_F(ValueOptimizer, TheScoredElasticNetChangesTheResult) {
  auto options = hparams();
  options.eac_l1 = 0;
  const auto without = values_of(optimize_anchored_values, three_unlike_edits(), options);
  options.eac_l1 = 1e-3;
  const auto with = values_of(optimize_anchored_values, three_unlike_edits(), options);
  EXPECT_LT(with.abs().sum().item<double>(), 0.9 * without.abs().sum().item<double>());
}

}  // namespace
}  // namespace anchorage::worker
