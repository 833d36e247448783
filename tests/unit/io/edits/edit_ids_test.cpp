#include "io/edits/edit_ids.hpp"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "tests/support/temporary_directory.hpp"

namespace anchorage::io {
namespace {

using testing::ElementsAre;
using testing::EndsWith;
using testing::HasSubstr;
using testing::IsEmpty;

EditsFile with_own_ids(std::string_view content) {
  EditsFile file = read_edits(tests::TemporaryDirectory().write("facts.json", content));
  set_aside_shared_ids(file);
  return file;
}

std::vector<std::string> targets(const EditsFile& file) {
  std::vector<std::string> all;
  for (const Edit& edit : file.edits) all.push_back(edit.target);
  return all;
}

TEST(EditIds, OfTwoFactsWithOneIdTheLaterIsSetAsideWithBothPlaces) {
  const EditsFile file = with_own_ids(R"([
    {"id": "a", "subject": "Boeing", "prompt": "The CEO of {} is", "target": "Kelly Ortberg"},
    {"id": "b", "subject": "Nike", "prompt": "The CEO of {} is", "target": "Elliott Hill"},
    {"id": "a", "subject": "Nike", "prompt": "{} is led by", "target": "John Donahoe"}])");
  EXPECT_THAT(targets(file), ElementsAre("Kelly Ortberg", "Elliott Hill"));
  ASSERT_EQ(file.rejected.size(), 1U);
  EXPECT_THAT(file.rejected[0].where, EndsWith("facts.json, index 2"));
  EXPECT_THAT(file.rejected[0].reason, HasSubstr("id 'a' is that of another fact, at "));
  EXPECT_THAT(file.rejected[0].reason, HasSubstr("facts.json, index 0; give it one of its own"));
  EXPECT_EQ(file.places.size(), file.edits.size());
}

TEST(EditIds, ARepetitionAndALaterWordMayHaveTheEarlierOnesId) {
  const EditsFile file = with_own_ids(R"([
    {"id": "a", "subject": "Boeing", "prompt": "The CEO of {} is", "target": "Kelly Ortberg"},
    {"id": "a", "subject": "Boeing", "prompt": "The CEO of Boeing is", "target": "Kelly Ortberg"},
    {"id": "a", "subject": "Boeing", "prompt": "The CEO of {} is", "target": "Dave Calhoun"}])");
  EXPECT_THAT(targets(file), ElementsAre("Kelly Ortberg", "Kelly Ortberg", "Dave Calhoun"));
  EXPECT_THAT(file.rejected, IsEmpty());
}

}  // namespace
}  // namespace anchorage::io
