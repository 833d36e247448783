#include "worker/editing/values/shared_values.hpp"

#include <gtest/gtest.h>
#include <torch/utils.h>
#include <algorithm>

#include "tests/unit/worker/model/golden_model.hpp"
#include "worker/editing/values/value_optimizer.hpp"

namespace anchorage::worker {
namespace {

using tests::expect_close;

std::vector<EditPrompts> edits_about(const std::vector<std::string>& subjects) {
  std::vector<EditPrompts> edits(subjects.size());
  for (std::size_t i = 0; i < subjects.size(); ++i) edits[i].subject = subjects[i];
  return edits;
}

const std::vector<std::string> six_subjects = {"a", "", "b", "a", "", "a"};

TEST(SharedValues, ReplacesTheRowsOfASubjectAndLeavesAllOthersToTheBit) {
  torch::manual_seed(1);
  const SharedValues shared(edits_about(six_subjects), {}, torch::kCPU);
  ASSERT_TRUE(shared.any());
  const auto rows = torch::randn({6, 2, 5});
  const auto mean = shared.mean_of(rows), first = shared.first_of(rows), once = shared.once(rows);
  for (const std::int64_t other : {1, 2, 4}) {
    for (const torch::Tensor& all : {mean, first, once}) EXPECT_TRUE(at::equal(all[other], rows[other])) << other;
  }
  for (const std::int64_t member : {0, 3, 5}) {
    EXPECT_TRUE(at::equal(mean[member], mean[0]));
    EXPECT_TRUE(at::equal(first[member], rows[0]));
    EXPECT_TRUE(at::equal(once[member], member == 0 ? rows[0] : torch::zeros_like(rows[0])));
  }
  expect_close(mean[0], (rows[0] + rows[3] + rows[5]) / 3, 1e-6);
}

TEST(SharedValues, OneMemberThatIsTrueMakesAllOfThemTrue) {
  const SharedValues shared(edits_about(six_subjects), {}, torch::kCPU);
  const auto flags = [](const std::vector<std::int64_t>& values) { return torch::tensor(values).eq(1); };
  EXPECT_TRUE(at::equal(shared.any_of(flags({0, 0, 1, 0, 0, 1})), flags({1, 0, 1, 1, 0, 1})));
  EXPECT_TRUE(at::equal(shared.any_of(flags({0, 1, 0, 0, 0, 0})), flags({0, 1, 0, 0, 0, 0})));
}

TEST(SharedValues, NothingIsSharedWhereNoSubjectRepeatsOrItIsSwitchedOff) {
  const auto rows = torch::randn({3, 2});
  const io::Hparams on{}, off{.merge_subjects = false};
  for (const SharedValues& shared : {SharedValues(edits_about({"a", "b", "c"}), on, torch::kCPU),
                                     SharedValues(edits_about({"", "", ""}), on, torch::kCPU),
                                     SharedValues(edits_about({"a", "a", "a"}), off, torch::kCPU)}) {
    EXPECT_FALSE(shared.any());
    EXPECT_TRUE(shared.mean_of(rows).is_same(rows));
  }
}

// Two facts of one subject, and one of another between them.
std::vector<EditPrompts> three_edits() {
  EditPrompts first, other, second;
  first.rewrites = {{{5, 6, 7, 8, 9}, 2, 4}, {{20, 21, 22, 5, 6, 7, 8, 9}, 5, 7}};
  first.kl_prompt = {{5, 6, 7, 30, 31}, 2, 4};
  first.target = {40};
  first.subject = "s";
  other.rewrites = {{{11, 12, 13, 41, 42}, 1, 2}, {{20, 21, 22, 11, 12, 13, 41, 42}, 4, 5}};
  other.kl_prompt = {{11, 12, 30, 31}, 1, 3};
  other.target = {41, 42, 43};
  other.subject = "o";
  second.rewrites = {{{5, 6, 7, 33, 34, 35}, 2, 5}, {{20, 21, 22, 5, 6, 7, 33, 34, 35}, 5, 8}};
  second.kl_prompt = {{5, 6, 7, 30, 31}, 2, 4};
  second.target = {50};
  second.subject = "s";
  return {first, other, second};
}

class MergedValues : public testing::Test {
 protected:
  MergedValues() {
    options.layers = {1, 2};
    options.v_loss_layer = 3;
    options.v_num_grad_steps = 25;
    options.v_lr = 0.1;
    options.clamp_norm_factor = 20;
    options.v_weight_decay = 1e-3;  // the residual stream of these models is short
    options.early_stop_loss = 0;
    options.eac_locate_steps = 4;
    options.eac_compress_steps = 6;
    options.eac_anchor_ratio = 0.25;
  }

  std::vector<InjectedForward> one_group(std::vector<std::int64_t> layers = {2}) const {
    std::vector<InjectedForward> groups;
    groups.emplace_back(model, three_edits(), InjectionOptions{.layers = std::move(layers), .loss_layer = 3});
    return groups;
  }

  torch::Tensor nll(const torch::Tensor& values) const {
    const torch::NoGradGuard no_gradients;
    InjectedForward group = std::move(one_group().front());
    group.fill();
    return group.loss(values).nll;
  }

  const Transformer model = load_transformer(tests::golden_model("llama_tied").directory);
  io::Hparams options;
};

void expect_shared(const torch::Tensor& values, const std::string& what) {
  EXPECT_TRUE(at::equal(values[0], values[2])) << what;
  EXPECT_FALSE(at::equal(values[0], values[1])) << what;
}

TEST_F(MergedValues, AreTheSameBitsForAllEditsOfTheSubjectWhateverFindsThem) {
  for (const auto optimizer : {io::ValueOptimizer::adam, io::ValueOptimizer::ngd}) {
    options.v_optimizer = optimizer;
    expect_shared(optimize_values(one_group(), options).front().values, "one layer");
    expect_shared(optimize_values(one_group({1, 2}), options).front().values, "every layer");
    expect_shared(optimize_anchored_values(one_group(), options).front().values, "anchored");
    const auto located = locate_anchors(one_group({1, 2}), options);
    expect_shared(located.front().dense, "dense");
    expect_shared(located.front().saliency, "saliency");
    const std::vector<torch::Tensor> anchors{
        located.front().saliency.gt(located.front().saliency.median()).to(torch::kFloat)};
    expect_shared(compress_to_anchors(one_group({1, 2}), options, located, anchors).front().values, "compressed");
  }
}

// Least squares write about the mean of two values at one key.
TEST_F(MergedValues, ReachAllTargetsOfTheSubjectBetterThanTheMeanOfSeparateValues) {
  const auto merged = optimize_values(one_group(), options).front().values;
  options.merge_subjects = false;
  const auto separate = optimize_values(one_group(), options).front().values;
  EXPECT_FALSE(at::equal(separate[0], separate[2]));
  expect_close(merged[1], separate[1], 1e-3);
  const auto averaged = (separate[0] + separate[2]) / 2;
  const auto with_merged = nll(merged), with_average = nll(at::stack({averaged, separate[1], averaged})),
             with_none = nll(torch::zeros_like(merged));
  const auto of_subject = [](const torch::Tensor& of_edits) { return (of_edits[0] + of_edits[2]).item<double>(); };
  EXPECT_LT(of_subject(with_merged), of_subject(with_none));
  EXPECT_LT(of_subject(with_merged), of_subject(with_average));
}

// The edit of the subject that is done first waits for the other.
TEST_F(MergedValues, MoveUntilEveryEditOfTheSubjectHasConverged) {
  options.kl_factor = 0;
  options.v_weight_decay = 0;
  const auto after = [&](int evaluations) {
    options.v_num_grad_steps = evaluations;
    return optimize_values(one_group(), options).front().values;
  };
  const auto losses = nll(after(8));
  const double lower = std::min(losses[0].item<double>(), losses[2].item<double>());
  const double higher = std::max(losses[0].item<double>(), losses[2].item<double>());
  ASSERT_LT(lower, higher);
  const auto moves_on = [&](std::int64_t edit) { return !at::equal(after(9)[edit], after(8)[edit]); };
  options.early_stop_loss = (lower + higher) / 2;
  EXPECT_TRUE(moves_on(0) && moves_on(2)) << "one of them has not converged";
  options.early_stop_loss = higher + 1e-3;
  EXPECT_FALSE(moves_on(0) || moves_on(2)) << "both have";
}

}  // namespace
}  // namespace anchorage::worker
