#include "io/files/atomic_file.hpp"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <algorithm>
#include <vector>

#include "io/error.hpp"
#include "tests/support/message_of.hpp"
#include "tests/support/small_disk.hpp"
#include "tests/support/temporary_directory.hpp"

namespace anchorage::io {
namespace {

using testing::ElementsAre;
using testing::HasSubstr;
using tests::content_of;

std::vector<std::string> names_in(const std::filesystem::path& directory) {
  std::vector<std::string> names;
  for (const auto& entry : std::filesystem::directory_iterator(directory)) names.push_back(entry.path().filename());
  std::ranges::sort(names);
  return names;
}

using tests::message_of;

TEST(AtomicFile, HasItsNameOnlyOnceItIsCommitted) {
  const tests::TemporaryDirectory directory;
  const auto path = directory.path() / "x.txt";
  AtomicFile file(path);
  file.write("one, ");
  EXPECT_FALSE(std::filesystem::exists(path));
  EXPECT_TRUE(is_temporary(file.temporary_path()));
  EXPECT_EQ(file.temporary_path().parent_path(), directory.path());
  file.write("two");
  file.commit();
  EXPECT_EQ(content_of(path), "one, two");
  EXPECT_THAT(names_in(directory.path()), ElementsAre("x.txt"));
}

TEST(AtomicFile, LeavesTheOldContentAndNothingElseWhenItIsNotCommitted) {
  const tests::TemporaryDirectory directory;
  const auto path = directory.write("x.txt", "old");
  {
    AtomicFile file(path);
    file.write("new");
  }
  EXPECT_EQ(content_of(path), "old");
  EXPECT_THAT(names_in(directory.path()), ElementsAre("x.txt"));
}

TEST(AtomicFile, ReplacesOrRefusesAnExistingFileAsItIsTold) {
  const tests::TemporaryDirectory directory;
  const auto path = directory.write("x.txt", "old");
  {
    AtomicFile file(path, IfExists::refuse);
    file.write("new");
    EXPECT_THROW(file.commit(), InternalError);
  }
  EXPECT_EQ(content_of(path), "old");
  write_file_atomically(path, "new");
  EXPECT_EQ(content_of(path), "new");
  EXPECT_THAT(names_in(directory.path()), ElementsAre("x.txt"));
}

TEST(AtomicFile, MayBeFilledByAnotherWriterUnderItsTemporaryName) {
  const tests::TemporaryDirectory directory;
  AtomicFile file(directory.path() / "x.txt");
  std::ofstream(file.temporary_path(), std::ios::trunc) << "by another";
  file.write(" and by us");
  file.commit();
  EXPECT_EQ(content_of(directory.path() / "x.txt"), "by another and by us");
}

TEST(AtomicFile, HasItsOwnTemporaryNameEachTime) {
  const tests::TemporaryDirectory directory;
  const AtomicFile first(directory.path() / "x.txt"), second(directory.path() / "x.txt");
  EXPECT_NE(first.temporary_path(), second.temporary_path());
}

TEST(AtomicFile, NamesTheDirectoryThatIsNotThere) {
  EXPECT_THAT(message_of<SystemError>([] { AtomicFile("/no/such/place/x.txt"); }),
              HasSubstr("/no/such/place/x.txt"));
}

TEST(AtomicFile, TellsOfAFullDiskAndLeavesTheOldContentAndNothingElse) {
  const tests::SmallDisk disk("256k");
  if (!disk.refusal().empty()) GTEST_SKIP() << disk.refusal();
  const auto path = disk.path() / "x.txt";
  write_file_atomically(path, "old");
  const std::string message =
      message_of<SystemError>([&] { write_file_atomically(path, std::string(std::size_t{1} << 20, 'x')); });
  EXPECT_THAT(message, HasSubstr("No space left on device"));
  EXPECT_THAT(message, HasSubstr(path.string() + "; free some space there"));
  EXPECT_EQ(content_of(path), "old");
  EXPECT_THAT(names_in(disk.path()), ElementsAre("x.txt"));
}

TEST(AtomicFile, LeftoversAreRemovedAndNothingElse) {
  const tests::TemporaryDirectory directory;
  directory.write(".x.txt.123-0.tmp", "half");
  directory.write("x.txt", "whole");
  directory.write("notes.tmp", "a person's own");
  remove_leftovers(directory.path());
  EXPECT_THAT(names_in(directory.path()), ElementsAre("notes.tmp", "x.txt"));
}

}  // namespace
}  // namespace anchorage::io
