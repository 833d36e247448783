#include "io/evaluation/generation_questions.hpp"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "tests/support/message_of.hpp"
#include "tests/support/temporary_directory.hpp"

namespace anchorage::io {
namespace {

using testing::ElementsAre;
using testing::HasSubstr;

class GenerationQuestions : public testing::Test {
 protected:
  std::filesystem::path file(const std::string& content) const {
    folder.write("questions.jsonl", content);
    return folder.path() / "questions.jsonl";
  }

  tests::TemporaryDirectory folder;
};

TEST_F(GenerationQuestions, OfSamsumAndOfDocumentsAskForASummary) {
  const auto questions =
      read_summaries(file(R"({"id": "1", "dialogue": "A: Hi\r\nB: Hello", "summary": "They greet."})"
                          "\n"
                          R"({"document": "Long text.", "summary": "Text."})"));
  ASSERT_EQ(questions.size(), 2u);
  EXPECT_EQ(questions[0].prompt, "A: Hi\r\nB: Hello\nTL;DR:");
  EXPECT_THAT(questions[0].accepted, ElementsAre("They greet."));
  EXPECT_EQ(questions[1].prompt, "Long text.\nTL;DR:");
}

TEST_F(GenerationQuestions, OfAclsumAcceptEachOfThreeSummariesOfTheAbstract) {
  const auto questions = read_summaries(
      file(R"({"id": "P1", "summary": {"challenge": "Hard.", "approach": "Simple.", "outcome": "Good."},)"
           R"( "sentences": {"abstract": ["We try .", "It works ."], "introduction": ["No ."]}})"));
  ASSERT_EQ(questions.size(), 1u);
  EXPECT_EQ(questions[0].prompt, "We try . It works .\nTL;DR:");
  EXPECT_THAT(questions[0].accepted, ElementsAre("Hard.", "Simple.", "Good."));
}

TEST_F(GenerationQuestions, OfOpenQaTakeOneAnswerOrSeveral) {
  const auto questions = read_open_qa(file(R"({"question": "who?", "answer": ["Bob", "Robert"]})"
                                           "\n"
                                           R"({"question": "when?", "answers": "1999"})"));
  ASSERT_EQ(questions.size(), 2u);
  EXPECT_EQ(questions[0].prompt, "Please answer the question:\n\nQ: who?\nA:");
  EXPECT_THAT(questions[0].accepted, ElementsAre("Bob", "Robert"));
  EXPECT_THAT(questions[1].accepted, ElementsAre("1999"));
}

TEST_F(GenerationQuestions, OfBadRecordsAreRefusedWithTheirPlace) {
  const auto refusal = [&](auto read, const std::string& content) {
    const auto path = file(content);
    return tests::message_of([&] { read(path); });
  };
  EXPECT_THAT(refusal(read_summaries, R"({"dialogue": "x"})"), HasSubstr("field 'summary' is missing"));
  EXPECT_THAT(refusal(read_summaries, R"({"summary": "x"})"), HasSubstr("field 'document' is missing"));
  EXPECT_THAT(refusal(read_summaries, R"({"summary": {}, "sentences": {"abstract": []}})"),
              HasSubstr("no 'sentences' of the 'abstract'"));
  EXPECT_THAT(refusal(read_summaries, R"({"summary": "x", "sentences": {"abstract": ["a"]}})"),
              HasSubstr("a text where an object is expected"));
  EXPECT_THAT(refusal(read_open_qa, R"({"question": "who?", "answer": []})"), HasSubstr("no 'answer'"));
  EXPECT_THAT(refusal(read_open_qa, R"({"answer": "x"})"),
              testing::AllOf(HasSubstr("field 'question' is missing"), HasSubstr("index 0")));
}

}  // namespace
}  // namespace anchorage::io
