// The end of text as a part of targets: written where it is asked for, and nothing else changes.
#include <gtest/gtest.h>

#include "tests/unit/worker/editing/editor_test.hpp"
#include "worker/evaluation/score.hpp"

namespace anchorage::worker {
namespace {

class TargetEndTest : public tests::EditorTest {
 protected:
  struct Written {
    torch::Tensor weight;  // of layer 2
    double end_nll = 0;    // of targets with the end of text after them: mean per token
  };

  Written write(const std::vector<io::Edit>& edits) {
    Written written;
    tests::run_thread_world(1, [&](sharding::HostCommunicator& world) {
      torch::set_num_threads(1);
      auto groups = sharding::form_rank_groups(world, {1, 1}, torch::kCPU);
      Transformer model = load_transformer(directory);
      EditedWeights weights(model, directory, {options.layers.begin(), options.layers.end()});
      const PromptBuilder prompts(tokenizer);
      BatchEditor editor(model, weights, prompts, options, method_named("memit"), statistics,
                         {.prefixes = {"", "It was said", "I know"}, .wanted = 2}, limits, {groups, world},
                         {.capacities = {}, .most_rows = most_slab_rows});
      for (const EditOutcome& outcome : editor.apply(edits).edits) EXPECT_EQ(outcome.refusal, "");
      editor.accept();
      written.weight = weights.master(2).clone();
      const auto end = static_cast<std::int32_t>(model.config.eos_ids.at(0));
      for (const io::Edit& edit : edits) {
        Completion ended{.prompt = prompts.prompt_ids(edit.model_prompt()),
                         .completion = prompts.target_ids(edit.model_prompt(), edit.target)};
        ended.completion.push_back(end);
        written.end_nll +=
            score_completions(model, std::span(&ended, 1)).front().mean_nll() / static_cast<double>(edits.size());
      }
    });
    return written;
  }

  static std::vector<io::Edit> edits_that_say(std::optional<bool> target_end) {
    auto edits = tests::seven_edits();
    for (io::Edit& edit : edits) edit.target_end = target_end;
    return edits;
  }
};

TEST_F(TargetEndTest, IsWrittenWhereHyperParametersOrTheEditSaySoAndNowhereElse) {
  const Written plain = write(edits_that_say(std::nullopt)), by_record = write(edits_that_say(true));
  options.target_end = true;
  const Written by_hparams = write(edits_that_say(std::nullopt)), not_by_record = write(edits_that_say(false));
  EXPECT_TRUE(at::equal(by_record.weight, by_hparams.weight));
  EXPECT_TRUE(at::equal(not_by_record.weight, plain.weight)) << "without it the same bits";
  EXPECT_FALSE(at::equal(by_hparams.weight, plain.weight));
}

}  // namespace
}  // namespace anchorage::worker
