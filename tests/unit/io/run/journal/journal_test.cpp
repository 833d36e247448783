#include "io/run/journal/journal.hpp"

#include <gmock/gmock.h>
#include <gtest/gtest.h>
#include <signal.h>
#include <sys/wait.h>
#include <unistd.h>

#include <chrono>
#include <cstdio>
#include <random>
#include <thread>

#include "io/error.hpp"
#include "io/files/atomic_file.hpp"
#include "io/files/digest.hpp"
#include "tests/support/message_of.hpp"
#include "tests/support/sample_segment.hpp"
#include "tests/support/small_disk.hpp"
#include "tests/support/temporary_directory.hpp"

namespace anchorage::io {
namespace {

using testing::HasSubstr;
using tests::sample_base;
using tests::sample_batch;

using tests::message_of;

void fill(const std::filesystem::path& directory, std::int64_t batches) {
  Journal journal = Journal::open(directory, JournalAccess::append);
  journal.append(sample_base());
  for (std::int64_t batch = 1; batch <= batches; ++batch) journal.append(sample_batch(batch));
}

class JournalOfFour : public testing::Test {
 protected:
  void SetUp() override { fill(path(), 3); }
  std::filesystem::path path() const { return directory_.path() / "journal"; }
  std::filesystem::path segment(int number) const { return path() / segment_file_name(number); }
  std::string refusal() const {
    return message_of([&] { Journal::open(path()); });
  }

  tests::TemporaryDirectory directory_;
};

TEST_F(JournalOfFour, ListsItsSegmentsAsAChain) {
  const Journal journal = Journal::open(path());
  ASSERT_EQ(journal.list().size(), 4U);
  EXPECT_EQ(journal.list()[0].header.previous, "");
  for (std::size_t i = 1; i < 4; ++i) {
    EXPECT_EQ(journal.list()[i].header.batch, static_cast<std::int64_t>(i));
    EXPECT_EQ(journal.list()[i].header.previous, sha256_of_file(journal.list()[i - 1].path));
  }
  EXPECT_EQ(journal.last().path, segment(3));
  EXPECT_EQ(journal.last().digest, sha256_of_file(segment(3)));
}

TEST_F(JournalOfFour, GoesOnWhereItEnded) {
  const std::string last = Journal::open(path()).last().digest;
  Journal journal = Journal::open(path(), JournalAccess::append);
  EXPECT_EQ(journal.append(sample_batch(4)).header.previous, last);
  EXPECT_EQ(read_segment(segment(4)).header.previous, last);
  EXPECT_EQ(Journal::open(path()).list().size(), 5U);
}

TEST_F(JournalOfFour, TakesOnlyTheNextNumber) {
  Journal journal = Journal::open(path(), JournalAccess::append);
  EXPECT_THROW(journal.append(sample_batch(3)), InternalError);
  EXPECT_THROW(journal.append(sample_batch(5)), InternalError);
  EXPECT_THROW(Journal::open(path()).append(sample_batch(4)), InternalError);
}

TEST_F(JournalOfFour, NamesAMissingSegment) {
  std::filesystem::remove(segment(1));
  EXPECT_THAT(refusal(), HasSubstr("expected seg-00000001.h5, found only later segments, seg-00000002.h5"));
  EXPECT_THAT(refusal(), HasSubstr("; put the missing file back"));
}

TEST_F(JournalOfFour, NamesAMissingBase) {
  std::filesystem::remove(segment(0));
  EXPECT_THAT(refusal(), HasSubstr("expected seg-00000000.h5"));
}

TEST_F(JournalOfFour, NamesAnAlteredSegmentFirstMiddleOrLast) {
  for (const int number : {0, 2, 3}) {
    const std::string content = tests::content_of(segment(number));
    std::string altered = content;
    altered[altered.size() / 2] = static_cast<char>(altered[altered.size() / 2] ^ 1);
    std::ofstream(segment(number), std::ios::binary) << altered;
    EXPECT_THAT(refusal(), HasSubstr("the file was altered, in " + segment(number).string()));
    std::ofstream(segment(number), std::ios::binary) << content;
  }
  EXPECT_EQ(refusal(), "no error");
}

TEST_F(JournalOfFour, NamesARenamedSegment) {
  std::filesystem::rename(segment(2), path() / "x");
  std::filesystem::rename(segment(3), segment(2));
  std::filesystem::rename(path() / "x", segment(3));
  EXPECT_THAT(refusal(),
              HasSubstr("expected segment 2, found segment 3 under this name, in " + segment(2).string()));
}

TEST_F(JournalOfFour, NamesASegmentOfAnotherRun) {
  std::filesystem::remove(segment(2));
  BatchSegment foreign = sample_batch(2);
  foreign.header.previous = sha256_hex(std::string_view("another run"));
  write_segment(path(), foreign);
  EXPECT_THAT(refusal(), HasSubstr("expected the segment that follows seg-00000001.h5"));
  EXPECT_THAT(refusal(), HasSubstr(segment(2).string()));
}

TEST_F(JournalOfFour, IgnoresOtherFilesAndRemovesLeftoversOnlyToWrite) {
  const auto leftover = path() / ".seg-00000004.h5.77-0.tmp";
  std::ofstream(leftover) << "half";
  std::ofstream(path() / "seg-00000004.h5.copy") << "a person's own";
  EXPECT_EQ(Journal::open(path()).list().size(), 4U);
  EXPECT_TRUE(std::filesystem::exists(leftover));
  EXPECT_EQ(Journal::open(path(), JournalAccess::append).list().size(), 4U);
  EXPECT_FALSE(std::filesystem::exists(leftover));
  EXPECT_TRUE(std::filesystem::exists(path() / "seg-00000004.h5.copy"));
}

TEST(Journal, BeginsWithABase) {
  const tests::TemporaryDirectory directory;
  Journal journal = Journal::open(directory.path() / "journal", JournalAccess::append);
  EXPECT_TRUE(journal.empty());
  EXPECT_THROW(journal.append(sample_batch(0)), InternalError);
  journal.append(sample_base());
  EXPECT_FALSE(journal.empty());
}

TEST(Journal, NamesTheFolderThatIsNotThere) {
  EXPECT_THAT(message_of<SystemError>([] { Journal::open("/no/such/run/journal"); }),
              HasSubstr("/no/such/run/journal"));
}

TEST(Journal, GoesOnAfterAFullDisk) {
  const tests::SmallDisk disk("1M");
  if (!disk.refusal().empty()) GTEST_SKIP() << disk.refusal();
  const auto path = disk.path() / "journal";
  Journal journal = Journal::open(path, JournalAccess::append);
  journal.append(sample_base());
  disk.fill_up_to(20000);
  EXPECT_THROW(journal.append(sample_batch(1)), SystemError);
  disk.make_room();
  journal.append(sample_batch(1));
  EXPECT_EQ(Journal::open(path).list().size(), 2U);
}

// A process that commits batches one after another and reports each through a pipe. It is killed at a random
// moment.
class Writer {
 public:
  Writer(const std::filesystem::path& directory, std::int64_t f) {
    int ends[2] = {-1, -1};
    if (::pipe(ends) != 0) throw std::runtime_error("no pipe");
    process_ = ::fork();
    if (process_ == 0) write_forever(directory, f, ends[1]);
    ::close(ends[1]);
    pipe_ = ends[0];
  }
  // Waits for a first commit; -1 when the writer failed.
  std::int64_t first_commit() const {
    std::int64_t number = -1;
    return ::read(pipe_, &number, sizeof number) == sizeof number ? number : -1;
  }
  // Kills it and returns the last number that it told since, or `told`.
  std::int64_t kill(std::int64_t told) const {
    ::kill(process_, SIGKILL);
    ::waitpid(process_, nullptr, 0);
    std::int64_t number = -1;
    while (::read(pipe_, &number, sizeof number) == sizeof number) told = number;
    ::close(pipe_);
    return told;
  }

 private:
  [[noreturn]] static void write_forever(const std::filesystem::path& directory, std::int64_t f, int pipe) {
    try {
      Journal journal = Journal::open(directory, JournalAccess::append);
      while (true) {
        const auto next = static_cast<std::int64_t>(journal.list().size());
        journal.append(next == 0 ? sample_base() : sample_batch(next, f));
        if (::write(pipe, &next, sizeof next) != sizeof next) break;
      }
    } catch (const std::exception& error) {
      std::fprintf(stderr, "writer: %s\n", error.what());
    }
    ::_exit(1);
  }

  pid_t process_ = -1;
  int pipe_ = -1;
};

TEST(Journal, KilledAtRandomMomentsLosesNothingThatWasCommitted) {
  const tests::TemporaryDirectory directory;
  const auto path = directory.path() / "journal";
  constexpr int kills = 20;
  constexpr std::int64_t f = 3000;
  std::mt19937 random(20261123);
  std::int64_t told = -1;
  int halves = 0;
  for (int i = 0; i < kills; ++i) {
    const Writer writer(path, f);
    const bool at_its_start = i % 4 == 3;  // also while it opens the journal
    if (!at_its_start) told = writer.first_commit();
    std::this_thread::sleep_for(std::chrono::microseconds(std::uniform_int_distribution(0, 40'000)(random)));
    told = writer.kill(told);
    for (const auto& entry : std::filesystem::directory_iterator(path)) halves += is_temporary(entry.path());
    const auto committed = static_cast<std::int64_t>(Journal::open(path).list().size()) - 1;
    ASSERT_GE(committed, told) << "kill " << i;
    ASSERT_LE(committed, told + 1) << "kill " << i;  // renamed, and killed before it could tell
    told = committed;
  }
  ASSERT_GE(told, kills / 2);
  std::printf("%d kills, %d of them in the middle of a file, %d batches\n", kills, halves, static_cast<int>(told));
  for (std::int64_t batch = 1; batch <= told; ++batch) {
    BatchSegment segment = read_segment(path / segment_file_name(batch));
    segment.header.previous = "";
    ASSERT_EQ(segment, sample_batch(batch, f));
  }
}

}  // namespace
}  // namespace anchorage::io
