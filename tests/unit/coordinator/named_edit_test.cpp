#include "coordinator/named_edit.hpp"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "io/error.hpp"
#include "tests/support/message_of.hpp"

namespace anchorage::coordinator {
namespace {

using testing::AllOf;
using testing::HasSubstr;

RecordedEdit recorded(const std::string& id, std::int64_t batch, std::int32_t row,
                      const std::string& target = "X") {
  return {.edit = {.id = id, .subject = "Boeing", .prompt = "The CEO of {} is", .target = target},
          .batch = batch,
          .row = row};
}

io::RecordedPlace found(const std::string& name, const std::vector<RecordedEdit>& edits) {
  return live_edit(name, edits, "run");
}

std::string refusal_of_name(const std::string& name, const std::vector<RecordedEdit>& edits) {
  return tests::message_of([&] { found(name, edits); });
}

TEST(NamedEdit, TheOneOfAnIdThatStandsIsFoundByTheIdAlone) {
  std::vector edits{recorded("a", 1, 0), recorded("b", 1, 1), recorded("a", 2, 0)};
  edits[0].superseded_in = 2;
  EXPECT_EQ(found("a", edits), edits[2].place());
  EXPECT_EQ(found("a@2", edits), edits[2].place());
  EXPECT_EQ(found("b", edits), edits[1].place());
  EXPECT_THAT(refusal_of_name("a@1", edits), HasSubstr("superseded in batch 2"));
  EXPECT_THAT(refusal_of_name("c", edits), HasSubstr("no edit of this id"));
}

TEST(NamedEdit, WhereSeveralStandEachIsListedWithANameOfItsOwn) {
  const std::vector edits{recorded("a", 1, 0, "Dave"), recorded("a", 2, 0, "Kelly"), recorded("a", 2, 3, "Bob")};
  EXPECT_THAT(refusal_of_name("a", edits),
              AllOf(HasSubstr("one live edit 'a', found 3"), HasSubstr("a@1 ('The CEO of Boeing is' -> 'Dave')"),
                    HasSubstr("a@2#0 ('The CEO of Boeing is' -> 'Kelly')"),
                    HasSubstr("a@2#3 ('The CEO of Boeing is' -> 'Bob')")));
  EXPECT_EQ(found("a@1", edits), edits[0].place());
  EXPECT_THAT(refusal_of_name("a@2", edits), HasSubstr("one live edit 'a@2', found 2"));
  EXPECT_EQ(found("a@2#3", edits), edits[2].place());
}

TEST(NamedEdit, AnIdMayLookLikeAnotherOnesName) {
  const std::vector edits{recorded("me@home", 1, 0), recorded("a", 3, 0), recorded("a", 4, 0),
                          recorded("a@3", 5, 0)};
  EXPECT_EQ(found("me@home", edits), edits[0].place());
  EXPECT_EQ(found("me@home@1", edits), edits[0].place());
  EXPECT_EQ(found("a@3", edits), edits[3].place());
  EXPECT_EQ(found("a@3#0", edits), edits[1].place());
}

}  // namespace
}  // namespace anchorage::coordinator
