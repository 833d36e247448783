#include "io/edits/protected_prompts.hpp"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "io/error.hpp"
#include "io/files/digest.hpp"
#include "tests/support/message_of.hpp"
#include "tests/support/temporary_directory.hpp"

namespace anchorage::io {
namespace {

using testing::AllOf;
using testing::ElementsAre;
using testing::HasSubstr;
using tests::message_of;

class ProtectedPromptsFile : public testing::Test {
 protected:
  ProtectedPrompts read(std::string_view content) {
    return read_protected_prompts(folder.write("suite.jsonl", content));
  }
  // "subject|prompt"
  std::vector<std::string> rows(std::string_view content) {
    std::vector<std::string> rows;
    for (const ProtectedPrompt& one : read(content).prompts) rows.push_back(one.subject + "|" + one.prompt);
    return rows;
  }
  std::string refusal(std::string_view content) {
    return message_of([&] { read(content); });
  }

  const tests::TemporaryDirectory folder;
};

TEST_F(ProtectedPromptsFile, OfPromptsAloneHasTheirTextsWhateverElseTheRecordsSay) {
  EXPECT_THAT(rows(R"({"prompt": "The CEO of Nvidia is", "answer": "Jensen Huang"}
{"prompt": "def f():\n"}
{"prompt": ["Print {} with", "The sun"]}
)"),
              ElementsAre("|The CEO of Nvidia is", "|def f():\n", "|Print {} with", "|The sun"));
}

TEST_F(ProtectedPromptsFile, OfRomesKnownFactsAndOfNativeEditsKnowsTheSubjects) {
  EXPECT_THAT(rows(R"([{"known_id": 0, "subject": "Vinson Massif", "attribute": "Antarctica",
                        "template": "{} is located in the continent", "prediction": " of Antarctica.",
                        "prompt": "Vinson Massif is located in the continent of", "relation_id": "P30"},
                       {"id": "1", "subject": "Boeing", "prompt": "The CEO of {} is", "target": "Kelly Ortberg"}])"),
              ElementsAre("Vinson Massif|{} is located in the continent of", "Boeing|The CEO of {} is"));
}

TEST_F(ProtectedPromptsFile, MayBeAListOfSubjects) {
  EXPECT_THAT(rows(R"({"templates": ["a {}", "b {}"], "subjects": ["S", "T"]})"),
              ElementsAre("S|a {}", "S|b {}", "T|b {}", "T|a {}"));
}

TEST_F(ProtectedPromptsFile, HasAPromptOnceAndKnowsItsPlace) {
  const std::string content = R"({"prompt": "a"}
{"prompt": "b"}
{"prompt": "a"}
{"subject": "S", "prompt": "{} is"}
{"subject": "S", "prompt": "S is"}
)";
  EXPECT_THAT(rows(content), ElementsAre("|a", "|b", "S|{} is"));
  const ProtectedPrompts found = read(content);
  EXPECT_THAT(found.prompts[1].where, HasSubstr("suite.jsonl, line 2"));
  EXPECT_EQ(found.digest, sha256_hex(content));
}

TEST_F(ProtectedPromptsFile, ThatCannotBeUsedIsRefusedWithThePlaceAndTheReason) {
  EXPECT_THAT(refusal("{\"prompt\": \"a\"}\n{\"attribute\": \"b\"}\n"),
              AllOf(HasSubstr("it has no 'prompt'"), HasSubstr("suite.jsonl, line 2")));
  EXPECT_THAT(refusal("{\"subject\": \"S\", \"prompt\": \"T is\"}\n"),
              AllOf(HasSubstr("'S' does not occur"), HasSubstr("suite.jsonl")));
  EXPECT_THAT(refusal("{\"prompt\": \"a\"}\n{\"prompt\": 1.5}\n"), HasSubstr("suite.jsonl, line 2"));
  EXPECT_THAT(refusal("{\"prompt\": \"a\"}\n{\"prompt\": \n"), HasSubstr("suite.jsonl, line 2"));
  EXPECT_THAT(refusal("[[\"a\"], {\"prompt\": \"b\"}]"), HasSubstr("an object is expected"));
  EXPECT_THAT(refusal(""), HasSubstr("suite.jsonl"));
  EXPECT_THAT(message_of([&] { read_protected_prompts(folder.path() / "nowhere.jsonl"); }),
              HasSubstr("nowhere.jsonl"));
}

}  // namespace
}  // namespace anchorage::io
