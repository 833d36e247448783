#include "io/error.hpp"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

namespace anchorage::io {
namespace {

TEST(Error, MessageTellsExpectedFoundWhereAndRemedyInThatOrder) {
  const UserError error({.expected = "a layer below 30", .found = "31", .where = "h.yaml", .remedy = "drop it"});
  EXPECT_STREQ(error.what(), "expected a layer below 30, found 31, in h.yaml; drop it");
}

TEST(Error, MessageLeavesOutWhatIsNotKnown) {
  const UserError error({.expected = "an edit", .found = "none", .where = "", .remedy = ""});
  EXPECT_STREQ(error.what(), "expected an edit, found none");
}

TEST(Error, FullDiskNamesThePathAndSaysWhatToDo) {
  const SystemError error = SystemError::from_errno(ENOSPC, "write 3 bytes", "/x/y");
  EXPECT_THAT(std::string(error.what()), testing::HasSubstr("/x/y; free some space"));
}

TEST(Error, FailedCheckNamesItsOwnLine) {
  try {
    check(false, "3 rows, 4 columns");
    FAIL() << "no exception";
  } catch (const InternalError& error) {
    EXPECT_THAT(std::string(error.what()), testing::HasSubstr("error_test.cpp"));
  }
}

}  // namespace
}  // namespace anchorage::io
