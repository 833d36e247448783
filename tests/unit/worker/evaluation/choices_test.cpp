// Choices against scores of one completion at a time.
#include "worker/evaluation/choices.hpp"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "tests/unit/worker/evaluation/asked_model.hpp"
#include "worker/evaluation/completion.hpp"
#include "worker/evaluation/score.hpp"
#include "worker/evaluation/tasks.hpp"
#include "worker/model/generate.hpp"

namespace anchorage::worker {
namespace {

using testing::HasSubstr;

class Choices : public tests::AskedModel {
 protected:
  // Of every other question one choice is what the model itself says, where that can be asked for.
  std::vector<io::ChoiceQuestion> questions() const {
    std::vector<io::ChoiceQuestion> questions;
    for (std::size_t i = 0; i < 40; ++i) {
      const std::string prompt = "Of the places, number " + std::to_string(i) + " lies in";
      const TokenIds ids = prompts.prompt_ids(prompt);
      const std::string said = tokenizer.decode(generate(model, std::span(&ids, 1), {.max_new_tokens = 1}).front());
      const bool is_word = i % 2 == 0 && said.size() > 1 && said.front() == ' ';
      questions.push_back({prompt, {"France", is_word ? said.substr(1) : "the sea"}, i % 3 == 0 ? 1u : 0u});
    }
    return questions;
  }

  ChoiceAnswers answers_on(int size, std::span<const io::ChoiceQuestion> questions) const {
    return measured(size, [&](const Communicators& ranks) { return ask(model, prompts, questions, ranks); });
  }
};

TEST_F(Choices, HaveTheLogProbabilitiesOfTheirTokensTogether) {
  const auto asked = questions();
  const ChoiceAnswers answers = answers_on(1, asked);
  ASSERT_EQ(answers.answers.size(), asked.size());
  EXPECT_EQ(answers.asked(), std::ssize(asked));
  std::int64_t right = 0, greedy = 0, decided = 0;
  for (std::size_t q = 0; q < asked.size(); ++q) {
    const ChoiceAnswer& answer = answers.answers[q];
    std::vector<double> sums;
    std::optional<std::size_t> written;
    for (std::size_t c = 0; c < 2; ++c) {
      const Completion alone = completion_of(prompts, asked[q].prompt, asked[q].choices[c], " ");
      const CompletionScore score = score_completions(model, std::span(&alone, 1)).front();
      double sum = 0;
      for (const float one : score.log_probabilities) sum += one;
      sums.push_back(sum);
      const auto said =
          generate(model, std::span(&alone.prompt, 1), {.max_new_tokens = std::ssize(alone.completion)}).front();
      if (said == alone.completion) written = c;
      EXPECT_NEAR(answer.log_probabilities[c], sum, 1e-4);
    }
    EXPECT_EQ(answer.greedy, written);
    decided += written.has_value();
    greedy += written == asked[q].answer;
    right += (sums[1] > sums[0] ? 1u : 0u) == asked[q].answer;
  }
  EXPECT_GT(decided, 0);
  const auto figures = figures_of(answers);
  EXPECT_EQ(figures[0].name, "auc");
  EXPECT_EQ(figures[1].name, "accuracy");
  EXPECT_DOUBLE_EQ(figures[1].estimate->value, static_cast<double>(right) / 40);
  EXPECT_EQ(figures[2].name, "greedy");
  EXPECT_DOUBLE_EQ(figures[2].estimate->value, static_cast<double>(greedy) / 40);
  for (const Figure& figure : figures) {
    EXPECT_LE(figure.interval->low, figure.estimate->value);
    EXPECT_GE(figure.interval->high, figure.estimate->value);
  }
  EXPECT_DOUBLE_EQ(*answers.decided(), static_cast<double>(decided) / 40);
  EXPECT_DOUBLE_EQ(*answers.chance(), 26.0 / 40);
}

TEST_F(Choices, AreTheSameOnAnyNumberOfRanks) {
  const auto asked = questions();
  const ChoiceAnswers one = answers_on(1, asked);
  for (const int size : {2, 3}) {
    const ChoiceAnswers several = answers_on(size, asked);
    for (std::size_t q = 0; q < asked.size(); ++q)
      EXPECT_EQ(several.answers[q].log_probabilities, one.answers[q].log_probabilities);
  }
}

TEST_F(Choices, OfTwoClassesHaveAnAreaAndACorrelation) {
  ChoiceAnswers answers{.answers = {}, .choices = 2, .rejection = {}};
  const auto add = [&](std::size_t right, double first, double second) {
    answers.answers.push_back({.right = right, .log_probabilities = {first, second}, .greedy = {}});
  };
  add(0, -1, -2), add(0, -3, -1), add(1, -2, -1), add(1, -5, -1), add(1, -1, -1.5);
  answers.answers.push_back({.right = 1, .log_probabilities = {}, .greedy = {}});  // was not asked
  EXPECT_EQ(answers.asked(), 5);
  EXPECT_DOUBLE_EQ(answers.area_under_curve()->value, 4.0 / 6);
  EXPECT_DOUBLE_EQ(figures_of(answers)[1].estimate->value, 3.0 / 5);
  EXPECT_DOUBLE_EQ(*answers.matthews_correlation(), (1.0 * 2 - 1 * 1) / std::sqrt(2.0 * 2 * 3 * 3));
  EXPECT_DOUBLE_EQ(*answers.chance(), 3.0 / 5);
  EXPECT_DOUBLE_EQ(*answers.decided(), 0);
  answers.choices = 3;
  EXPECT_FALSE(answers.area_under_curve());
  EXPECT_FALSE(answers.matthews_correlation());
}

TEST_F(Choices, ThatCannotBeScoredAreLeftOut) {
  auto asked = questions();
  for (int i = 0; i < 300; ++i) asked[3].prompt += " and number three";
  const ChoiceAnswers answers = answers_on(2, asked);
  EXPECT_EQ(answers.asked(), std::ssize(asked) - 1);
  EXPECT_FALSE(answers.answers[3].is_asked());
  EXPECT_THAT(answers.rejection, HasSubstr("positions"));
  const auto of_none = figures_of(answers_on(1, std::span(asked).subspan(3, 1)));
  EXPECT_EQ(of_none.size(), 3u);
  for (const Figure& figure : of_none) EXPECT_FALSE(figure.estimate || figure.interval) << figure.name;
}

// As where an edited model's logits overflow.
TEST_F(Choices, ThatHaveNoNumberAreWrongAndAreNotLeftOut) {
  model.final_norm.weight = model.final_norm.weight.to(torch::kFloat) * NAN;
  const ChoiceAnswers answers = answers_on(2, questions());
  EXPECT_EQ(answers.asked(), 40);
  EXPECT_EQ(answers.rejection, "");
  for (const Figure& figure : figures_of(answers))
    EXPECT_EQ(figure.estimate->value, figure.name == "auc" ? 0.5 : 0);
}

}  // namespace
}  // namespace anchorage::worker
