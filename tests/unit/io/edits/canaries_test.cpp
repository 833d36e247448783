#include "io/edits/canaries.hpp"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "tests/support/message_of.hpp"
#include "tests/support/temporary_directory.hpp"

namespace anchorage::io {
namespace {

using testing::AllOf;
using testing::HasSubstr;

std::vector<Canary> canaries_in(const std::string& content) {
  return read_canaries(tests::TemporaryDirectory().write("canaries.jsonl", content));
}

TEST(Canaries, AreReadWithAnAnswerOrWithoutOne) {
  const auto canaries = canaries_in(R"({"id": "ceo", "prompt": "The CEO of Nvidia is", "answer": "Jensen Huang"})"
                                    "\n\n"
                                    R"({"prompt": "Water boils at", "other": 1})");
  ASSERT_EQ(canaries.size(), 2U);
  EXPECT_EQ(canaries[0], (Canary{.id = "ceo", .prompt = "The CEO of Nvidia is", .answer = "Jensen Huang"}));
  EXPECT_EQ(canaries[1].prompt, "Water boils at");
  EXPECT_EQ(canaries[1].answer, "");
  EXPECT_THAT(canaries[1].id, HasSubstr("canaries.jsonl, line 3"));
}

TEST(Canaries, ThatCannotBeUsedAreRefusedWithTheirPlace) {
  for (const auto& [content, why] :
       std::vector<std::pair<std::string, std::string>>{{R"({"answer": "x"})", "prompt"},
                                                        {R"({"prompt": ""})", "prompt"},
                                                        {R"([1])", "a number where an object is expected"},
                                                        {R"({"id": "a", "prompt": "x"})"
                                                         "\n"
                                                         R"({"id": "a", "prompt": "y"})",
                                                         "its id 'a' is that of an earlier one"}})
    EXPECT_THAT(tests::message_of([&] { canaries_in(content); }),
                AllOf(HasSubstr("expected a canary"), HasSubstr(why)));
}

TEST(Canaries, AreBrokenWhereTheyHeldAndHoldNoMore) {
  CanaryLook look{
      .id = "ceo", .prompt = "The CEO is", .expected = "Ada", .said_before = " Ada", .said_after = " Bob"};
  look.held_before = true;
  EXPECT_TRUE(look.is_broken());
  EXPECT_EQ(look.text(), "canary 'ceo' broke: to 'The CEO is' the model says ' Bob', expected 'Ada'");
  look.held_before = false;
  EXPECT_FALSE(look.is_broken());
  EXPECT_THAT(look.text(), HasSubstr("does not hold"));
  look.held_before = look.holds = true;
  EXPECT_FALSE(look.is_broken());
}

}  // namespace
}  // namespace anchorage::io
