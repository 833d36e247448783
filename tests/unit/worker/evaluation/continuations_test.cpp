// Continuations and answers in the model's own words against one prompt at a time.
#include "worker/evaluation/continuations.hpp"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "io/evaluation/answer_match.hpp"
#include "io/evaluation/rouge.hpp"
#include "tests/unit/worker/evaluation/asked_model.hpp"
#include "worker/evaluation/classification.hpp"
#include "worker/evaluation/generated_answers.hpp"
#include "worker/model/generate.hpp"

namespace anchorage::worker {
namespace {

using testing::HasSubstr;

class Continuations : public tests::AskedModel {
 protected:
  std::string said_alone(const std::string& prompt, std::int64_t tokens) const {
    const TokenIds ids = prompts.prompt_ids(prompt);
    return tokenizer.decode(generate(model, std::span(&ids, 1), {.max_new_tokens = tokens}).front());
  }

  // Of different lengths.
  static std::vector<std::string> texts() {
    std::vector<std::string> texts;
    for (int i = 0; i < 35; ++i) {
      std::string text = "The capital";
      for (int j = 0; j < i % 5; ++j) text += " of number " + std::to_string(i);
      texts.push_back(text + " is");
    }
    return texts;
  }
};

TEST_F(Continuations, DependOnNoOtherPromptAndOnNoNumberOfRanks) {
  model.config.eos_ids.clear();
  const auto asked = texts();
  for (const int size : {1, 2, 3}) {
    const auto said = measured(size, [&](const Communicators& ranks) {
      return continue_greedily(model, prompts, asked, {.max_new_tokens = 6}, ranks);
    });
    ASSERT_EQ(said.size(), asked.size());
    for (std::size_t i = 0; i < asked.size(); ++i) {
      ASSERT_TRUE(said[i]);
      EXPECT_EQ(said[i]->text, said_alone(asked[i], 6));
      EXPECT_FALSE(said[i]->has_ended);
    }
  }
}

TEST_F(Continuations, EndAtTheEndOfText) {
  model.config.eos_ids.clear();
  const std::string prompt = texts().front();
  const TokenIds ids = prompts.prompt_ids(prompt);
  const TokenIds said = generate(model, std::span(&ids, 1), {.max_new_tokens = 6}).front();
  model.config.eos_ids = {said[3]};
  const auto end = std::ranges::find(said, said[3]);  // its first occurrence
  const auto continued = measured(1, [&](const Communicators& ranks) {
    return continue_greedily(model, prompts, std::span(&prompt, 1), {.max_new_tokens = 6}, ranks);
  });
  EXPECT_TRUE(continued.front()->has_ended);
  EXPECT_EQ(continued.front()->text, tokenizer.decode({said.begin(), end}));
}

TEST_F(Continuations, OfPromptsLongerThanTheModelAreNothing) {
  auto asked = texts();
  for (int i = 0; i < 300; ++i) asked[2] += " and so on";
  const auto said = measured(2, [&](const Communicators& ranks) {
    return continue_greedily(model, prompts, asked, {.max_new_tokens = 6}, ranks);
  });
  EXPECT_FALSE(said[2]);
  EXPECT_TRUE(said[1] && said[3]);
  EXPECT_THAT(continuation_obstacle(model, prompts, asked[2]).value_or(""), HasSubstr("positions"));
  EXPECT_FALSE(continuation_obstacle(model, prompts, asked[1]));
}

TEST_F(Continuations, EndWhereTheyAreComplete) {
  model.config.eos_ids.clear();
  const std::string prompt = texts().front(), whole = said_alone(prompt, 6);
  const auto continued = measured(1, [&](const Communicators& ranks) {
    const auto is_complete = [](const std::string& text) { return text.size() >= 3; };
    return continue_greedily(model, prompts, std::span(&prompt, 1),
                             {.max_new_tokens = 6, .is_complete = is_complete}, ranks);
  });
  EXPECT_TRUE(continued.front()->has_ended);
  EXPECT_GE(continued.front()->text.size(), 3u);
  EXPECT_LT(continued.front()->text.size(), whole.size());
  EXPECT_TRUE(whole.starts_with(continued.front()->text));
}

TEST_F(Continuations, AreMeasuredAgainstWhatIsAccepted) {
  std::vector<io::GenerationQuestion> questions;
  const auto asked = texts();
  for (std::size_t i = 0; i < asked.size(); ++i) {
    const std::string said = said_alone(asked[i], 20);
    questions.push_back({asked[i], {i % 2 == 0 ? "nothing of the kind" : said.substr(0, said.find('\n'))}});
  }
  const auto answered =
      measured(2, [&](const Communicators& ranks) { return ask(model, prompts, open_qa(questions), ranks); });
  const auto summarized =
      measured(1, [&](const Communicators& ranks) { return ask(model, prompts, summarization(questions), ranks); });
  double exact = 0, longest = 0;
  for (std::size_t i = 0; i < questions.size(); ++i) {
    exact += io::matches_exactly(*answered.texts[i], questions[i].accepted) ? 1 : 0;
    longest += io::rouge(*summarized.texts[i], questions[i].accepted.front()).longest;
    EXPECT_EQ(answered.texts[i]->find('\n'), std::string::npos);
  }
  EXPECT_GT(exact, 0);
  EXPECT_EQ(answered.measured[0].name, "exact");
  EXPECT_DOUBLE_EQ(mean_of(answered.measured[0].values)->value, exact / static_cast<double>(questions.size()));
  EXPECT_EQ(summarized.measured[3].name, "rougeL");
  EXPECT_NEAR(mean_of(summarized.measured[3].values)->value, longest / static_cast<double>(questions.size()),
              1e-12);
}

}  // namespace
}  // namespace anchorage::worker
