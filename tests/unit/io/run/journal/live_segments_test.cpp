#include "io/run/journal/live_segments.hpp"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "tests/support/sample_segment.hpp"
#include "tests/support/temporary_directory.hpp"

namespace anchorage::io {
namespace {

using testing::ElementsAre;
using testing::IsEmpty;

class LiveSegments : public testing::Test {
 protected:
  // base, batches 1 to 3
  void SetUp() override {
    journal.append(tests::sample_base());
    for (std::int64_t batch = 1; batch <= 3; ++batch) journal.append(tests::sample_batch(batch));
  }
  std::vector<std::int64_t> after(std::int64_t number) const {
    std::vector<std::int64_t> numbers;
    for (const JournalEntry& entry : live_segments(journal, number)) numbers.push_back(entry.header.batch);
    return numbers;
  }

  tests::TemporaryDirectory directory;
  Journal journal = Journal::open(directory.path() / "journal", JournalAccess::append);
};

TEST_F(LiveSegments, AreAllSegmentsWhereNothingWasRolledBack) {
  EXPECT_THAT(after(0), IsEmpty());
  EXPECT_THAT(after(2), ElementsAre(1, 2));
  EXPECT_EQ(live_segments(journal).size(), 3U);
}

TEST_F(LiveSegments, AreAfterARollbackThoseOfTheSegmentThatItWentBackTo) {
  journal.append(tests::sample_rollback(4, 1));
  journal.append(tests::sample_batch(5));
  EXPECT_THAT(after(4), ElementsAre(1));
  EXPECT_THAT(after(5), ElementsAre(1, 5));
  EXPECT_THAT(after(3), ElementsAre(1, 2, 3));
}

TEST_F(LiveSegments, ARollbackBehindARollbackBringsBackWhatThatTook) {
  journal.append(tests::sample_rollback(4, 0));
  journal.append(tests::sample_rollback(5, 3));
  journal.append(tests::sample_removal(6));
  EXPECT_THAT(after(4), IsEmpty());
  EXPECT_THAT(after(6), ElementsAre(1, 2, 3, 6));
  journal.append(tests::sample_rollback(7, 5));
  EXPECT_THAT(after(7), ElementsAre(1, 2, 3));
}

TEST_F(LiveSegments, EndWithTheLastOneAndTwoStatesAreTheSameWhereThatIsTheSame) {
  journal.append(tests::sample_rollback(4, 1));
  journal.append(tests::sample_rollback(5, 0));
  journal.append(tests::sample_rollback(6, 4));
  journal.append(tests::sample_batch(7));
  for (std::int64_t number = 0; number <= 7; ++number) {
    const auto live = after(number);
    EXPECT_EQ(last_live_segment(journal, number), live.empty() ? 0 : live.back()) << number;
  }
  EXPECT_EQ(last_live_segment(journal, 6), last_live_segment(journal, 1));
}

TEST_F(LiveSegments, FromOneOnAreTheEndOfAll) {
  journal.append(tests::sample_rollback(4, 2));
  journal.append(tests::sample_batch(5));
  for (std::int64_t first = 0; first <= 6; ++first) {
    std::vector<std::int64_t> expected = after(5), found;
    std::erase_if(expected, [&](std::int64_t number) { return number < first; });
    for (const JournalEntry& entry : live_segments_from(journal, first)) found.push_back(entry.header.batch);
    EXPECT_EQ(found, expected) << first;
  }
}

}  // namespace
}  // namespace anchorage::io
