#include "io/run/journal/journal_index.hpp"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <fstream>
#include <set>

#include "io/edits/edit.hpp"
#include "io/error.hpp"
#include "io/run/journal/journal.hpp"
#include "tests/support/message_of.hpp"
#include "tests/support/sample_segment.hpp"
#include "tests/support/temporary_directory.hpp"

namespace anchorage::io {
namespace {

using testing::HasSubstr;

BatchSegment batch(std::int64_t number, const std::string& run = "") {
  BatchSegment segment = tests::sample_batch(number);
  for (std::size_t i = 0; i < segment.edits.size(); ++i) {
    const Edit edit{.id = fmt::format("{}-{}", number, i),
                    .subject = fmt::format("Zürich\n{}{}", number, run),
                    .prompt = "The mayor of {} is",
                    .target = "Ada \"东京\"",
                    .paraphrases = {"{} is led by"}};
    segment.edits[i].id = edit.id;
    segment.edits[i].request = to_json(edit);
  }
  if (number % 2 == 0) segment.anchors.clear();
  return segment;
}

void flip_a_byte(const std::filesystem::path& path, std::uintmax_t place) {
  std::string content = tests::content_of(path);
  content.at(place) = static_cast<char>(content[place] ^ 0x10);
  std::ofstream(path, std::ios::binary) << content;
}

class AJournalIndex : public testing::Test {
 protected:
  // Base, batches 1 to 4, a removal, a rollback to batch 3, and one more batch.
  void SetUp() override {
    Journal journal = opened(JournalAccess::append);
    journal.append(tests::sample_base());
    for (std::int64_t number = 1; number <= 4; ++number) journal.append(batch(number));
    journal.save_index();
    BatchSegment removal = tests::sample_removal(5);
    removal.removal.edits = {{.id = "1-0", .segment = 1, .edit = 0}};
    journal.append(std::move(removal));
    journal.append(tests::sample_rollback(6, 3));
    journal.append(batch(7));
    journal.save_index();
  }

  std::filesystem::path folder() const { return directory.path() / "journal"; }
  std::filesystem::path index() const { return directory.path() / "journal.index"; }
  std::filesystem::path segment(std::int64_t number) const { return folder() / segment_file_name(number); }
  Journal opened(JournalAccess access = JournalAccess::read) const {
    return Journal::open(folder(), access, index());
  }

  // With what is known of each segment, the same as of a journal that was read in full.
  void expect_what_reading_gives(const Journal& journal) const {
    const Journal read = Journal::open(folder());
    ASSERT_EQ(journal.list().size(), read.list().size());
    for (std::size_t i = 0; i < read.list().size(); ++i) {
      const auto number = static_cast<std::int64_t>(i);
      EXPECT_EQ(journal.list()[i].path, read.list()[i].path);
      EXPECT_EQ(journal.list()[i].digest, read.list()[i].digest);
      EXPECT_EQ(journal.list()[i].header, read.list()[i].header);
      EXPECT_EQ(journal.summary(number), read.summary(number));
      EXPECT_EQ(journal.has_anchors(number), read.has_anchors(number));
    }
  }

  tests::TemporaryDirectory directory;
};

TEST_F(AJournalIndex, TellsWhatReadingEverySegmentTells) {
  const Journal journal = opened();
  EXPECT_FALSE(journal.damaged_index());
  expect_what_reading_gives(journal);
  EXPECT_EQ(JournalIndex(index()).size(), 8);
  EXPECT_TRUE(journal.has_anchors(3));
  EXPECT_FALSE(journal.has_anchors(4));
  EXPECT_EQ(journal.summary(4).edits.at(1).edit,
            (Edit{.id = "4-1", .subject = "Zürich\n4", .prompt = "The mayor of {} is", .target = "Ada \"东京\""}));
  EXPECT_EQ(journal.summary(4).edits.at(1).state, EditState::set_aside);
  EXPECT_EQ(journal.summary(4).edits.at(1).reason, "the held-out loss rose by 0.2");
}

TEST_F(AJournalIndex, SparesReadingTheSegmentsBetweenItsFirstAndItsLast) {
  flip_a_byte(segment(3), 5000);
  Journal journal = opened();
  EXPECT_EQ(journal.list().size(), 8U);
  journal.require_sound(2);
  EXPECT_THAT(tests::message_of([&] { journal.require_sound(3); }), HasSubstr(segment(3).string()));
  EXPECT_THROW(Journal::open(folder()), UserError);
  for (const std::int64_t number : {0, 7}) {
    flip_a_byte(segment(number), 5000);
    EXPECT_THAT(tests::message_of([&] { opened(); }), HasSubstr(segment(number).string()));
    flip_a_byte(segment(number), 5000);
  }
}

TEST_F(AJournalIndex, DoesNotHideAMissingACutOffOrAnExchangedSegment) {
  const auto same_as_without = [&](const std::string& expected) {
    const std::string without = tests::message_of([&] { Journal::open(folder()); });
    EXPECT_THAT(without, HasSubstr(expected));
    EXPECT_EQ(tests::message_of([&] { opened(); }), without);
  };
  const auto kept = directory.path() / "kept.h5";
  std::filesystem::rename(segment(3), kept);
  same_as_without("expected seg-00000003.h5");

  std::filesystem::copy_file(kept, segment(3));
  std::filesystem::resize_file(segment(3), std::filesystem::file_size(kept) - 1);
  same_as_without(segment(3).string());

  std::filesystem::copy_file(segment(1), segment(3), std::filesystem::copy_options::overwrite_existing);
  ASSERT_EQ(std::filesystem::file_size(segment(3)), std::filesystem::file_size(kept));
  same_as_without("segments were renamed");

  // A sound segment of the same number and size, of another run.
  write_segment(directory.path(), batch(3, "!"));
  std::filesystem::rename(directory.path() / segment_file_name(3), segment(3));
  same_as_without("the segment that follows seg-00000002.h5");
}

TEST_F(AJournalIndex, OfAnotherRunIsIgnored) {
  Journal other =
      Journal::open(directory.path() / "other", JournalAccess::append, directory.path() / "other.index");
  BatchSegment base = tests::sample_base();
  base.header.seed = 2;
  other.append(std::move(base));
  other.append(batch(1));
  other.save_index();
  std::filesystem::rename(directory.path() / "other.index", index());
  const Journal journal = opened();
  expect_what_reading_gives(journal);
  ASSERT_TRUE(journal.damaged_index());
  EXPECT_EQ(journal.damaged_index()->path, index());
  EXPECT_EQ(journal.damaged_index()->diagnostic,
            "segment 0 is another one than it describes; segments from 0 on are read instead");
}

TEST_F(AJournalIndex, ThatGivesAWrongDigestIsIgnored) {
  const auto wrong = directory.path() / "wrong.index";
  {
    const JournalIndex right(index());
    JournalIndex written(wrong);
    for (std::int64_t number = 0; number < right.size(); ++number) {
      IndexedSegment segment = right.segment(number);
      if (number == 7) segment.digest.front() = segment.digest.front() == '0' ? '1' : '0';
      written.add(segment, right.summary(number));
    }
    written.save();
  }
  std::filesystem::rename(wrong, index());
  const Journal journal = opened();
  EXPECT_THAT(journal.damaged_index()->diagnostic, HasSubstr("other digests"));
  expect_what_reading_gives(journal);
}

TEST_F(AJournalIndex, OfSegmentsThatWereMovedAwayGoesOnWithOthers) {
  for (std::int64_t number = 5; number <= 7; ++number) std::filesystem::remove(segment(number));
  {
    Journal journal = opened(JournalAccess::append);
    EXPECT_THAT(journal.damaged_index()->diagnostic, HasSubstr("segments that the journal does not have"));
    expect_what_reading_gives(journal);
    journal.append(batch(5, " again"));
    journal.save_index();
  }
  const Journal journal = opened();
  EXPECT_FALSE(journal.damaged_index());
  expect_what_reading_gives(journal);
  EXPECT_EQ(JournalIndex(index()).size(), 6);

  // Others that came without the index are found by their seals.
  std::filesystem::remove(segment(5));
  Journal::open(folder(), JournalAccess::append).append(batch(5, " anew"));
  const Journal later = opened();
  EXPECT_THAT(later.damaged_index()->diagnostic, HasSubstr("segment 5 is another one"));
  expect_what_reading_gives(later);
}

TEST_F(AJournalIndex, ThatIsCutOffOrAlteredIsUsedAsFarAsItIsSound) {
  const std::string whole = tests::content_of(index());
  std::set<std::int64_t> sizes;
  for (std::size_t place = 0; place < whole.size(); place += 97) {
    std::ofstream(index(), std::ios::binary) << whole.substr(0, place);
    const JournalIndex cut(index());
    EXPECT_FALSE(cut.diagnostic().empty());
    sizes.insert(cut.size());
    std::ofstream(index(), std::ios::binary) << whole;
    flip_a_byte(index(), place);
    const JournalIndex altered(index());
    EXPECT_FALSE(altered.diagnostic().empty());
    sizes.insert(altered.size());
  }
  EXPECT_THAT(sizes, testing::ElementsAre(0, 5)) << "nothing, or the first block";

  flip_a_byte(index(), whole.size() - 200);
  Journal journal = opened(JournalAccess::append);
  EXPECT_THAT(journal.damaged_index()->diagnostic, HasSubstr("cut off or altered"));
  expect_what_reading_gives(journal);
  journal.save_index();
  EXPECT_FALSE(opened().damaged_index());
  EXPECT_EQ(JournalIndex(index()).size(), 8);
}

TEST_F(AJournalIndex, GrowsAtItsEnd) {
  const std::string before = tests::content_of(index());
  Journal journal = opened(JournalAccess::append);
  journal.save_index();
  EXPECT_EQ(tests::content_of(index()), before) << "nothing is new";
  journal.append(batch(8));
  journal.append(batch(9));
  journal.save_index();
  EXPECT_TRUE(tests::content_of(index()).starts_with(before));
  expect_what_reading_gives(journal);
  const JournalIndex grown(index());
  EXPECT_TRUE(grown.diagnostic().empty());
  EXPECT_EQ(grown.size(), 10);
}

TEST_F(AJournalIndex, ThatIsMissingIsMadeAgainByWhoMayWriteIt) {
  std::filesystem::remove(index());
  {
    const Journal journal = opened();
    EXPECT_FALSE(journal.damaged_index());
    expect_what_reading_gives(journal);
  }
  EXPECT_FALSE(std::filesystem::exists(index()));
  opened(JournalAccess::append).save_index();
  EXPECT_EQ(JournalIndex(index()).size(), 8);
}

TEST_F(AJournalIndex, ThatCouldNotBeWrittenIsWrittenLater) {
  const auto late = directory.path() / "late" / "journal.index";
  Journal journal = Journal::open(folder(), JournalAccess::append, late);
  EXPECT_THROW(journal.save_index(), SystemError);
  std::filesystem::create_directory(late.parent_path());
  journal.save_index();
  EXPECT_EQ(JournalIndex(late).size(), 8);
}

}  // namespace
}  // namespace anchorage::io
