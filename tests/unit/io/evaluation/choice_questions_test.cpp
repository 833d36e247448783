#include "io/evaluation/choice_questions.hpp"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "tests/support/message_of.hpp"
#include "tests/support/temporary_directory.hpp"

namespace anchorage::io {
namespace {

using testing::ElementsAre;
using testing::HasSubstr;

class ChoiceQuestions : public testing::Test {
 protected:
  std::filesystem::path file(const std::string& content) const {
    folder.write("questions.jsonl", content);
    return folder.path() / "questions.jsonl";
  }
  std::string refusal(std::vector<ChoiceQuestion> (*read)(const std::filesystem::path&),
                      const std::string& content) const {
    const auto path = file(content);
    return tests::message_of([&] { read(path); });
  }

  tests::TemporaryDirectory folder;
};

TEST_F(ChoiceQuestions, OfSst2HaveThePublishedPrompt) {
  const auto questions = read_sentiment(file(R"({"sentence": "a gem . ", "label": 1, "idx": 3})"
                                             "\n"
                                             R"({"sentence": "dull", "label": 0})"));
  ASSERT_EQ(questions.size(), 2u);
  EXPECT_EQ(questions[0].prompt,
            "For each snippet of text,label the sentiment of the text as positive or negative.The answer should be "
            "exact 'positive' or 'negative'. text: a gem . answer:");
  EXPECT_THAT(questions[0].choices, ElementsAre("negative", "positive"));
  EXPECT_EQ(questions[0].answer, 1u);
  EXPECT_EQ(questions[1].answer, 0u);
}

TEST_F(ChoiceQuestions, OfRteTakeNumbersAndNamesForLabels) {
  const auto questions = read_nli(file(R"({"sentence1": "It rains.", "sentence2": "It is wet.", "label": 0})"
                                       "\n"
                                       R"({"sentence1": "A", "sentence2": "B", "label": "not_entailment"})"));
  ASSERT_EQ(questions.size(), 2u);
  EXPECT_EQ(questions[0].prompt, "It rains. entails the It is wet.. True or False? answer:");
  EXPECT_EQ(questions[0].choices[questions[0].answer], "True");
  EXPECT_EQ(questions[1].choices[questions[1].answer], "False");
}

TEST_F(ChoiceQuestions, OfMmluAreAnsweredByLetters) {
  const auto questions = read_mmlu(file(R"({"question": "2 + 2?", "subject": "elementary_mathematics",)"
                                        R"( "choices": ["3", "4", "5", "6"], "answer": 1})"
                                        "\n"
                                        R"({"question": "Why?", "choices": ["a", "b", "c", "d"], "answer": "D"})"));
  ASSERT_EQ(questions.size(), 2u);
  EXPECT_EQ(questions[0].prompt,
            "The following are multiple choice questions (with answers) about elementary mathematics.\n\n"
            "2 + 2?\nA. 3\nB. 4\nC. 5\nD. 6\nAnswer:");
  EXPECT_EQ(questions[0].choices[questions[0].answer], "B");
  EXPECT_EQ(questions[1].prompt, "Why?\nA. a\nB. b\nC. c\nD. d\nAnswer:");
  EXPECT_EQ(questions[1].answer, 3u);
}

TEST_F(ChoiceQuestions, OfBadRecordsAreRefusedWithTheirPlace) {
  EXPECT_THAT(refusal(read_sentiment, R"({"sentence": "x", "label": 2})"),
              testing::AllOf(HasSubstr("field 'label' holds 2"), HasSubstr("index 0"), HasSubstr("'sentence'")));
  EXPECT_THAT(refusal(read_sentiment, R"({"sentence": "x", "label": -1})"), HasSubstr("holds -1"));
  EXPECT_THAT(refusal(read_sentiment, R"({"sentence": "x", "label": true})"), HasSubstr("holds true"));
  EXPECT_THAT(refusal(read_sentiment, R"({"label": 1})"), HasSubstr("field 'sentence' is missing"));
  EXPECT_THAT(refusal(read_sentiment, R"({"sentence": "x"})"), HasSubstr("field 'label' is missing"));
  EXPECT_THAT(refusal(read_nli, R"({"sentence1": "x", "sentence2": "y", "label": "maybe"})"),
              HasSubstr("holds \"maybe\""));
  EXPECT_THAT(refusal(read_mmlu, R"({"question": "x", "choices": ["a", "b"], "answer": 0})"),
              HasSubstr("2 choices"));
  EXPECT_THAT(refusal(read_mmlu, R"({"question": "x", "choices": ["a", "b", "c", "d"], "answer": 4})"),
              HasSubstr("holds 4"));
  EXPECT_THAT(refusal(read_nli, "[1]"), HasSubstr("a number where an object is expected"));
  EXPECT_THAT(refusal(read_nli, R"({"sentence1": "x", "sentence2": "y", "label": 0})"
                                "\n"
                                "{broken\n"),
              testing::AllOf(HasSubstr("line 2"), HasSubstr("last read: '{b'")));
}

std::vector<ChoiceQuestion> questions_with(const std::vector<std::size_t>& answers) {
  std::vector<ChoiceQuestion> questions;
  for (const std::size_t answer : answers)
    questions.push_back({"Q" + std::to_string(questions.size()), {"no", "yes"}, answer});
  return questions;
}

TEST(Examples, TakeTheAnswersInTurnAndLeaveTheQuestions) {
  const auto others = with_examples(questions_with({1, 1, 0, 1, 0, 0}), 3, "f");
  ASSERT_EQ(others.size(), 3u);
  EXPECT_EQ(others[0].prompt, "Q2 no\n\nQ0 yes\n\nQ4 no\n\nQ1");
  EXPECT_EQ(others[1].prompt, "Q2 no\n\nQ0 yes\n\nQ4 no\n\nQ3");
  EXPECT_EQ(others[2].prompt, "Q2 no\n\nQ0 yes\n\nQ4 no\n\nQ5");
  EXPECT_EQ(others[2].answer, 0u);
}

TEST(Examples, TakeWhatThereIsWhereAnAnswerHasRunOut) {
  const auto others = with_examples(questions_with({1, 1, 1, 1}), 3, "f");
  ASSERT_EQ(others.size(), 1u);
  EXPECT_EQ(others[0].prompt, "Q0 yes\n\nQ1 yes\n\nQ2 yes\n\nQ3");
}

TEST(Examples, OfNoneChangeNothing) {
  const auto questions = questions_with({0, 1});
  EXPECT_EQ(with_examples(questions, 0, "f"), questions);
}

TEST(Examples, LeaveAQuestion) {
  EXPECT_THAT(tests::message_of([] {
                with_examples(questions_with({0, 1}), 2, "sst2.jsonl");
              }),
              testing::AllOf(HasSubstr("more than 2 questions"), HasSubstr("sst2.jsonl"), HasSubstr("--shots")));
}

}  // namespace
}  // namespace anchorage::io
