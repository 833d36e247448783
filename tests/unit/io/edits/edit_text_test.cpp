// The text of an edit: what of its white space counts, what stands between prompt and target, and its chat.
#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "io/edits/edit.hpp"
#include "io/edits/reader.hpp"
#include "io/error.hpp"
#include "tests/support/message_of.hpp"
#include "tests/support/temporary_directory.hpp"

namespace anchorage::io {
namespace {

using testing::AllOf;
using testing::HasSubstr;

EditsFile edits_of(std::string_view content) {
  return read_edits(tests::TemporaryDirectory().write("facts.jsonl", content));
}

TEST(EditText, LineBreaksBehindAPromptStayAndOtherWhiteSpaceGoes) {
  const Edit edit =
      edits_of(R"({"subject": "Boeing ", "prompt": " Q: who leads {}?\nA: \n\n ", "target": " Kelly\n",)"
               R"( "paraphrases": ["Boeing is led by \t", "Boeing:\n"],)"
               R"( "neighborhood": [{"prompt": "Nike:\r\n", "answer": "Hill\n"}]})")
          .edits.at(0);
  EXPECT_EQ(edit.subject, "Boeing");
  EXPECT_EQ(edit.prompt, "Q: who leads {}?\nA: \n\n");
  EXPECT_EQ(edit.target, "Kelly");
  EXPECT_THAT(edit.paraphrases, testing::ElementsAre("Boeing is led by", "Boeing:\n"));
  EXPECT_EQ(edit.neighborhood.at(0), (Neighbor{.prompt = "Nike:\r\n", .answer = "Hill"}));
}

TEST(EditText, TargetPrefixIsTakenAsItStandsAndNoneIsNotAnEmptyOne) {
  const auto edits = edits_of(R"({"subject": "a", "prompt": "{}", "target": "x", "target_prefix": " -> "}
{"subject": "b", "prompt": "{}", "target": "x", "target_prefix": ""}
{"subject": "c", "prompt": "{}", "target": "x"})")
                         .edits;
  EXPECT_EQ(edits.at(0).target_prefix, " -> ");
  EXPECT_EQ(edits.at(1).target_prefix, "");
  EXPECT_EQ(edits.at(2).target_prefix, std::nullopt);
  for (const Edit& edit : edits) EXPECT_EQ(edit_from_json(to_json(edit), "here"), edit);
}

TEST(EditText, SubjectInsideALongerWordIsRemarkedWithItsPlace) {
  const EditsFile file = edits_of(R"({"subject": "Boeing", "prompt": "The CEO of {} is", "target": "x"}
{"subject": "Iran", "prompt": "The Iranian state is led by", "target": "x"})");
  EXPECT_EQ(file.edits.size(), 2U);
  ASSERT_EQ(file.remarks.size(), 1U);
  EXPECT_THAT(file.remarks[0].where, HasSubstr("line 2"));
  EXPECT_EQ(file.remarks[0].text, "subject 'Iran' is a part of 'Iranian' in its prompt");
}

Edit boeing() {
  return {.id = "a", .subject = "Boeing", .prompt = "The CEO of {} is", .target = "Kelly"};
}

TEST(EditText, ChatKeepsThePromptAndTakesContextsInside) {
  Edit edit = boeing();
  EXPECT_EQ(edit.model_prompt(), "The CEO of Boeing is");
  EXPECT_EQ(edit.prompt_in_context("I went"), "I went. The CEO of {} is");
  set_chat_prompt(edit, "[user] The CEO of {} is [assistant]");
  EXPECT_EQ(edit.model_prompt(), "[user] The CEO of Boeing is [assistant]");
  EXPECT_EQ(edit.filled_prompt(), "The CEO of Boeing is");
  EXPECT_EQ(edit.prompt_in_context("I went"), "[user] I went. The CEO of {} is [assistant]");
  EXPECT_EQ(edit.prompt_in_context(""), "[user] The CEO of {} is [assistant]");
  EXPECT_EQ(edit_from_json(to_json(edit), "here"), edit);
  EXPECT_EQ(default_id(edit), default_id(boeing())) << "the same fact";
}

TEST(EditText, ChatThatTrimsThePromptIsTakenAndOneThatChangesItIsRefused) {
  Edit edit = boeing();
  edit.prompt += "\n";
  set_chat_prompt(edit, "[user] The CEO of {} is [assistant]");
  EXPECT_EQ(edit.prompt_in_context("I"), "[user] I. The CEO of {} is [assistant]");
  const auto refuse = [&](const char* chat) { return tests::message_of([&] { set_chat_prompt(edit, chat); }); };
  EXPECT_THAT(refuse("[user] THE CEO OF {} IS"),
              AllOf(HasSubstr("with the prompt 'The CEO of {} is"), HasSubstr("edit a")));
  EXPECT_THAT(refuse("tools: {} [user] The CEO of {} is"), HasSubstr("{} nowhere else"));
  const auto file = edits_of(R"({"subject": "a", "prompt": "{} is", "target": "x", "chat_prompt": "another"})"
                             "\n");
  EXPECT_THAT(file.rejected.at(0).reason, HasSubstr("field 'chat_prompt'"));
}

}  // namespace
}  // namespace anchorage::io
