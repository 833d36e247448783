// Edits that cannot be written, and contexts that are left out so that an edit can be.
#include <gtest/gtest.h>

#include <cmath>

#include "tests/unit/worker/editing/editor_test.hpp"
#include "worker/editing/values/edit_group.hpp"

namespace anchorage::worker {
namespace {

using tests::EditorOutcome;
using tests::name_of;
using tests::seven_edits;
using tests::shapes;

using EditRefusal = tests::EditorTest;
class EditRefusalOfMethod : public EditRefusal, public testing::WithParamInterface<std::string> {};

INSTANTIATE_TEST_SUITE_P(Methods, EditRefusalOfMethod, tests::every_method(),
                         [](const auto& method) { return tests::name_of(method); });

// In models without a start token the first position collects attention: editing there destroys the model.
TEST_F(EditRefusal, AnEditThatIsAnAttentionSinkInEveryContextIsSetAside) {
  limits = torch::full({2}, 1e-9);
  const EditorOutcome outcome = edit("memit_seq", {1, 2});
  for (const BatchResult& batch : outcome.batches) {
    EXPECT_TRUE(batch.layers.empty());
    for (const EditOutcome& edit : batch.edits) {
      EXPECT_NE(edit.refusal.find("attention sink"), std::string::npos);
      EXPECT_TRUE(std::isfinite(edit.nll_before) && std::isfinite(edit.nll_after))
          << "it can be asked all the same";
    }
  }
  EXPECT_TRUE(at::equal(outcome.weights.at(1), read_down_projection(directory, 1)));
}

// The groups of edits that can be written are {0, 1} and {2}, with the others and without.
TEST_P(EditRefusalOfMethod, EditsThatCannotBeWrittenAreRefusedAloneInAnyShape) {
  auto edits = seven_edits();
  edits.resize(5);
  for (int i = 0; i < 300; ++i) edits[3].prompt += " x";
  edits[4].target = "";
  const EditorOutcome without = edit(GetParam(), {1, 1}, {edits.begin(), edits.begin() + 3});
  for (const sharding::Topology& shape : shapes) {
    SCOPED_TRACE(name_of(shape));
    const EditorOutcome with = edit(GetParam(), shape, edits, 5);
    const auto& outcomes = with.batches.front().edits;
    ASSERT_EQ(outcomes.size(), 5U);
    for (std::size_t i = 0; i < 3; ++i) {
      EXPECT_EQ(outcomes[i].refusal, "");
      EXPECT_EQ(outcomes[i].nll_before, without.batches.front().edits[i].nll_before);
      EXPECT_EQ(outcomes[i].nll_after, without.batches.front().edits[i].nll_after);
    }
    EXPECT_NE(outcomes[3].refusal.find("at most 128 positions"), std::string::npos) << outcomes[3].refusal;
    EXPECT_TRUE(std::isnan(outcomes[3].nll_before) && std::isnan(outcomes[3].nll_after));
    EXPECT_FALSE(outcomes[3].match_before || outcomes[3].match_after);
    EXPECT_NE(outcomes[4].refusal.find("a target of at least one token"), std::string::npos) << outcomes[4].refusal;
    for (const std::int64_t layer : {1, 2})
      EXPECT_TRUE(at::equal(with.weights.at(layer), without.weights.at(layer))) << layer;
  }
}

// A step that leaves the floats, taken by those edits alone that have not converged where they begin.
TEST_F(EditRefusal, AnEditWhoseValueIsNotFiniteIsSetAsideAlone) {
  const auto edits = seven_edits();
  options.early_stop = io::EarlyStop::loss;
  options.v_num_grad_steps = 3;
  options.v_lr = 1e39;
  const auto written = [&](double early_stop_loss, const sharding::Topology& shape) {
    options.early_stop_loss = early_stop_loss;
    std::vector<std::string> refusals;
    for (const BatchResult& batch : edit("memit_seq", shape, edits, 7).batches) {
      for (const EditOutcome& outcome : batch.edits) refusals.push_back(outcome.refusal);
      for (const LayerUpdate& layer : batch.layers)
        EXPECT_EQ(layer.keys.size(0), std::ranges::count(refusals, std::string())) << name_of(shape);
    }
    return refusals;
  };
  double loss = 0;  // between the first losses of the edits
  for (const BatchResult& batch : edit("memit_seq", {1, 1}, edits, 7).batches) {
    for (const EditOutcome& outcome : batch.edits) loss += outcome.nll_before / static_cast<double>(edits.size());
  }
  const auto some = written(loss, {1, 1});
  const auto refused = std::ranges::count(some, std::string("its value vector is not finite"));
  EXPECT_GT(refused, 0);
  EXPECT_EQ(std::ranges::count(some, std::string()), std::ssize(edits) - refused);
  EXPECT_LT(refused, std::ssize(edits));
  EXPECT_EQ(written(loss, {2, 1}), some);
  EXPECT_EQ(written(loss, {2, 2}), some);
}

TEST_F(EditRefusal, ABatchWithoutAFiniteValueWritesNothing) {
  options.v_lr = 1e39;
  kept_groups = 1;
  const EditorOutcome outcome = edit("b-eac", {2, 1});
  EXPECT_TRUE(at::equal(outcome.weights.at(1), read_down_projection(directory, 1)));
  for (const BatchResult& batch : outcome.batches) EXPECT_TRUE(batch.layers.empty());
}

// The KL term's prompt is bare where that can be, else after any prefix that keeps its subject from the sink.
TEST_F(EditRefusal, AnEssenceThatIsAnAttentionSinkMovesBehindAPrefix) {
  const torch::NoGradGuard no_gradients;
  const PromptBuilder prompts(tokenizer);
  const Transformer model = load_transformer(directory);
  const std::vector<std::string> prefixes = {"", "It was said", "I know"};
  const auto norm_of = [&](const PromptRow& row) {
    return SubjectActivations(model, std::span(&row, 1), std::vector<std::int64_t>{1, 2})
        .residual_norms()
        .squeeze(0);
  };
  const auto refusal = [&](const io::Edit& edit, const std::vector<std::string>& in) {
    return EditGroup::make(model, prompts, {.prefixes = in, .wanted = 1}, limits, options, {{edit}})
        .front()
        .refusals()
        .front();
  };
  int cases = 0;
  for (const io::Edit& edit : seven_edits()) {
    const auto rewrite = norm_of(prompts.build(edit, std::vector<std::string>{""}).rewrites.front());
    const auto bare = norm_of(prompts.build(edit, {}).kl_prompt);
    const auto second = norm_of(prompts.build(edit, {}, prefixes[1]).kl_prompt);
    const auto third = norm_of(prompts.build(edit, {}, prefixes[2]).kl_prompt);
    limits = at::maximum(rewrite, third);
    if (bare.le(limits).all().item<bool>() || second.le(limits).all().item<bool>()) continue;
    ++cases;
    EXPECT_NE(refusal(edit, {""}).find("attention sink"), std::string::npos);
    EXPECT_NE(refusal(edit, {"", prefixes[1]}).find("attention sink"), std::string::npos);
    EXPECT_EQ(refusal(edit, prefixes), "");
  }
  EXPECT_GT(cases, 0) << "no subject is such a sink in this model";
}

// Tests a model with a table of positions, and one with rotary positions.
TEST_F(EditRefusal, ContextsBehindWhichAPromptIsTooLongAreNotUsed) {
  const torch::NoGradGuard no_gradients;
  const PromptBuilder prompts(tokenizer);
  io::Edit edit = seven_edits().front();
  const auto fits = [&](const io::Edit& one) {
    return prompts.build(one, std::vector<std::string>{""}, "", 128).rewrites.front().is_usable();
  };
  for (io::Edit longer = edit; fits(longer); longer.prompt += " x") edit = longer;
  for (const char* name : {"gpt2", "llama_tied"}) {
    const Transformer model = load_transformer(tests::golden_model(name).directory);
    const auto value_in = [&](const Contexts& contexts) {
      auto groups = EditGroup::make(model, prompts, contexts, limits, options, {{edit}});
      EXPECT_EQ(groups.front().refusals().front(), "");
      EditGroup::find_values(groups, /*anchored=*/false);
      return groups.front().values();
    };
    const auto bare = value_in({.prefixes = {""}, .wanted = 1});
    EXPECT_EQ(bare.size(0), 1);
    EXPECT_TRUE(at::equal(value_in({.prefixes = {"", "It was said"}, .wanted = 2}), bare)) << name;
  }
}

}  // namespace
}  // namespace anchorage::worker
