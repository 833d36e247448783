#include "worker/evaluation/canary_probe.hpp"

#include <gmock/gmock.h>
#include <gtest/gtest.h>
#include <torch/utils.h>

#include "io/error.hpp"
#include "tests/support/message_of.hpp"
#include "tests/unit/worker/model/golden_model.hpp"
#include "tests/unit/worker/model/stage_world.hpp"
#include "worker/model/generate.hpp"

namespace anchorage::worker {
namespace {

using tests::Cut;

class Canaries : public testing::Test {
 protected:
  // What the model says by itself, in so many tokens.
  std::string said(const std::string& prompt, std::int64_t tokens) const {
    const std::vector<TokenIds> rows{builder.prompt_ids(prompt)};
    return tokenizer.decode(generate(model, rows, {.max_new_tokens = tokens}).front());
  }

  const torch::NoGradGuard no_gradients;
  const io::ModelDirectory directory = tests::golden_model("llama_tied").directory;
  const io::Tokenizer tokenizer = io::Tokenizer::load(directory.tokenizer());
  Transformer model = load_transformer(directory);
  const PromptBuilder builder{tokenizer, model.config.vocabulary};
};

TEST_F(Canaries, WithoutAnAnswerHoldAsLongAsTheModelSaysWhatItSaidUnedited) {
  const CanaryProbe probe(model, builder, std::vector<io::Canary>{{.id = "a", .prompt = "The CEO of Boeing is"}});
  const auto before = probe.ask();
  ASSERT_EQ(before.size(), 1U);
  EXPECT_TRUE(before[0].holds);
  EXPECT_EQ(before[0].said, said("The CEO of Boeing is", 12));
  torch::manual_seed(1);
  model.block(3).down.weight.add_(20 * torch::randn_like(model.block(3).down.weight));
  const auto after = probe.ask();
  EXPECT_FALSE(after[0].holds);
  const auto looks = probe.looks(before, after);
  EXPECT_TRUE(looks[0].is_broken());
  EXPECT_EQ(looks[0].expected, before[0].said);
  EXPECT_EQ(looks[0].said_after, after[0].said);
}

TEST_F(Canaries, WithAnAnswerHoldWhereWhatTheModelSaysBeginsWithIt) {
  const std::string text = said("The CEO of Nike is", 3);
  const std::string first = text.substr(text.find_first_not_of(' '));
  const std::vector<io::Canary> canaries{{.id = "a", .prompt = "The CEO of Nike is", .answer = first},
                                         {.id = "b", .prompt = "The CEO of Nike is", .answer = first + "zzz"}};
  const auto answers = CanaryProbe(model, builder, canaries).ask();
  EXPECT_TRUE(answers[0].holds) << answers[0].said << " and " << first;
  EXPECT_FALSE(answers[1].holds);
}

TEST_F(Canaries, AreAnsweredAlikeOnAllStages) {
  const std::vector<io::Canary> canaries{{.id = "a", .prompt = "The CEO of Boeing is"},
                                         {.id = "b", .prompt = "It was said that", .answer = "x"}};
  const auto whole = CanaryProbe(model, builder, canaries).ask();
  for (const Cut cut : {Cut::one_range, Cut::two_ranges}) {
    tests::on_cut_stages(tests::cut_stages(4, 2, cut, 1), [&](const Stages& stages) {
      const torch::NoGradGuard without_gradients;
      const Transformer part =
          load_transformer(directory, {.device = torch::kCPU, .dtype = std::nullopt, .stages = stages});
      const auto answers = CanaryProbe(part, builder, canaries).ask();
      for (std::size_t i = 0; i < whole.size(); ++i) EXPECT_EQ(answers[i].said, whole[i].said) << i;
    });
  }
}

TEST_F(Canaries, ThatCannotBeAskedAreRefused) {
  std::string endless;
  for (int i = 0; i < 300; ++i) endless += " x";
  const std::vector<io::Canary> canaries{{.id = "long", .prompt = endless}};
  EXPECT_THAT(tests::message_of([&] { CanaryProbe(model, builder, canaries); }),
              testing::HasSubstr("canary 'long'"));
  EXPECT_TRUE(CanaryProbe(model, builder, {}).ask().empty());
}

}  // namespace
}  // namespace anchorage::worker
