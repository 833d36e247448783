// Open questions against greedy decoding, one question at a time.
#include "worker/evaluation/open_questions.hpp"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "tests/unit/worker/evaluation/asked_model.hpp"
#include "worker/evaluation/score.hpp"
#include "worker/model/generate.hpp"

namespace anchorage::worker {
namespace {

using testing::HasSubstr;

class OpenQuestions : public tests::AskedModel {
 protected:
  // Half of them with what the model itself says, where that can be asked for: a word of its own.
  std::vector<OpenQuestion> questions_with_both_answers() const {
    std::vector<OpenQuestion> questions;
    for (int i = 0; i < 80; ++i) {
      const std::string prompt = "Of the places, number " + std::to_string(i) + " lies in";
      const TokenIds ids = prompts.prompt_ids(prompt);
      const TokenIds said = generate(model, std::span(&ids, 1), {.max_new_tokens = 1}).front();
      const std::string answer = tokenizer.decode(said);
      const bool can_be_asked = i % 2 == 0 && answer.size() > 1 && prompts.target_ids(prompt, answer) == said;
      questions.push_back({prompt, can_be_asked ? answer : "France"});
    }
    return questions;
  }

  OpenAnswers answers_on(int size, std::span<const OpenQuestion> questions) const {
    return measured(size, [&](const Communicators& ranks) { return ask(model, prompts, questions, ranks); });
  }
};

TEST_F(OpenQuestions, AreAnsweredWhereGreedyDecodingGivesTheAnswer) {
  const auto questions = questions_with_both_answers();
  const OpenAnswers answers = answers_on(1, questions);
  ASSERT_EQ(answers.answered.size(), questions.size());
  double nll = 0;
  for (std::size_t i = 0; i < questions.size(); ++i) {
    const Completion alone{prompts.prompt_ids(questions[i].prompt),
                           prompts.target_ids(questions[i].prompt, questions[i].answer)};
    const auto said =
        generate(model, std::span(&alone.prompt, 1), {.max_new_tokens = std::ssize(alone.completion)}).front();
    EXPECT_EQ(answers.answered[i], said == alone.completion) << questions[i].prompt << "|" << questions[i].answer;
    const CompletionScore score = score_completions(model, std::span(&alone, 1)).front();
    for (const float value : score.log_probabilities) nll -= value;
  }
  EXPECT_NEAR(answers.nll.value(), nll / static_cast<double>(questions.size()), 1e-4);
  const auto given = std::ranges::count(answers.answered, true);
  EXPECT_GT(given, 0) << "no question is answered: the test proves nothing";
  EXPECT_LT(given, std::ssize(questions));
}

TEST_F(OpenQuestions, GetTheSameAnswersOnAnyNumberOfRanks) {
  const auto questions = questions_with_both_answers();
  const OpenAnswers one = answers_on(1, questions);
  for (const int size : {2, 3, 7}) {
    const OpenAnswers several = answers_on(size, questions);
    EXPECT_EQ(several.answered, one.answered);
    EXPECT_EQ(several.nll, one.nll) << size << " ranks";
  }
}

TEST_F(OpenQuestions, OneThatCannotBeAskedIsLeftOutAndTheOthersKeepTheirNumbers) {
  const auto questions = questions_with_both_answers();
  const OpenAnswers without = answers_on(1, std::span(questions).subspan(1));
  auto with = questions;
  for (int i = 0; i < 300; ++i) with[0].prompt += " x";
  for (const int size : {1, 3}) {
    const OpenAnswers answers = answers_on(size, with);
    ASSERT_EQ(answers.answered.size(), questions.size());
    EXPECT_TRUE(std::equal(without.answered.begin(), without.answered.end(), answers.answered.begin() + 1));
    EXPECT_EQ(answers.asked(), 79);
    EXPECT_TRUE(answers.left_out[0]);
    EXPECT_NEAR(answers.nll.value(), without.nll.value(), 1e-4);
    EXPECT_NE(answers.rejection.find("at most the model's 128 positions"), std::string::npos) << answers.rejection;
  }
}

TEST_F(OpenQuestions, NoneAskedIsNoneAnswered) {
  const OpenAnswers none = answers_on(2, {});
  EXPECT_TRUE(none.answered.empty());
  EXPECT_FALSE(none.nll);
}

TEST_F(OpenQuestions, OneThatNeedsATokenWithoutARowIsLeftOutAndItsTokenNamed) {
  const auto worlds = tests::thread_world(1);
  const auto device = sharding::make_device_communicator(*worlds.front(), torch::kCPU);
  Transformer fewer_rows = model;
  fewer_rows.config.vocabulary = 319;
  const std::vector<OpenQuestion> questions = {{"The CEO is", "a"},
                                               {tokenizer.decode(std::vector<std::int32_t>{319}), "b"}};
  const OpenAnswers answers = ask(fewer_rows, prompts, questions, {*worlds.front(), *device});
  EXPECT_EQ(answers.left_out, (std::vector{false, true}));
  EXPECT_THAT(answers.rejection, HasSubstr(fmt::format("one of its 319 rows for, found '{}' (id 319)",
                                                       tokenizer.token_of(319).value())));
}

}  // namespace
}  // namespace anchorage::worker
