// A run that resumes with the index of its journal decides as one that reads every segment.
#include <gmock/gmock.h>

#include <fstream>

#include "coordinator/recorded_edits.hpp"
#include "io/error.hpp"
#include "tests/support/message_of.hpp"
#include "tests/unit/coordinator/stored_run.hpp"

namespace anchorage::coordinator {
namespace {

using testing::ElementsAre;
using testing::HasSubstr;

const EditRunOptions every_second{.checkpoint_every = 2};

void flip_a_byte(const std::filesystem::path& path) {
  std::string content = tests::content_of(path);
  content.at(5000) = static_cast<char>(content[5000] ^ 0x10);
  std::ofstream(path, std::ios::binary) << content;
}

class ResumedByIndex : public EditRunTest {
 protected:
  // Six batches of one edit, of which the third is refused; a removal; a rollback that undoes it; two batches, the
  // first of which supersedes an edit; a rollback of the last; a removal.
  void SetUp() override {
    run.reopen_with_index();
    const auto edit = [&](const io::EditsFile& file) {
      ScriptedWorkers workers(answer);
      run.edit(file, workers, {.batch_size = 1}, every_second);
    };
    edit(file_of(6));
    run.journal().append(removal({.id = "e0", .segment = 1, .edit = 0}, 7));
    run.journal().append(rollback_segment(6, 8, StoredRun::provenance()));
    io::EditsFile more = file_of(7);
    more.edits[1].target = "Grace";
    edit(more);
    run.journal().append(rollback_segment(9, 11, StoredRun::provenance()));
    run.journal().append(removal({.id = "e3", .segment = 4, .edit = 0}, 12));
    run.journal().save_index();
  }

  // Refuses e2, and removes what is superseded.
  static sharding::Reply answer(const sharding::Command& command) {
    sharding::Reply reply = keeping_checkpoints(command);
    auto* applied = std::get_if<sharding::BatchApplied>(&reply);
    if (applied == nullptr) return reply;
    if (applied->edits[0].id == "e2") {
      applied->edits[0].state = io::EditState::set_aside;
      applied->edits[0].reason = "at an attention sink";
    }
    const auto& superseded = std::get<sharding::ApplyBatch>(command).superseded.edits;
    if (!superseded.empty()) applied->removal = {.edits = superseded, .layers = {removed_layer()}};
    return reply;
  }
  static io::RemovedLayer removed_layer() {
    return {.layer = 4, .keys = {1, 2, {1, 2}}, .u = {3, 1, {1, 2, 3}}, .v = {2, 1, {1, 2}}, .norms = {1, 2, 8}};
  }
  static io::BatchSegment removal(const io::RecordedPlace& place, std::int64_t number) {
    return removal_segment({.edits = {place}, .layers = {removed_layer()}}, number, StoredRun::provenance());
  }

  // What a resume with this file does: the commands, and the findings as text.
  std::vector<std::string> resumed(const io::EditsFile& file, QueueOptions options) {
    const Queue queue(file, recorded_edits(run.journal()), options);
    std::vector<std::string> all{fmt::format("{} repeated, {} committed already", queue.findings().repeated,
                                             queue.findings().already_committed)};
    for (const Conflict& conflict : queue.findings().conflicts) all.push_back(conflict.text());
    for (const SetAside& one : queue.findings().set_aside) all.push_back(one.edit + ": " + one.reason);
    for (const RecordedEdit& one : queue.findings().removed)
      all.push_back(fmt::format("{} removed in {}", one.edit.id, one.removed_in.value_or(-1)));
    const auto copy = folder_.path() / "copy";
    std::filesystem::remove_all(copy);
    std::filesystem::copy(run.directory().path(), copy, std::filesystem::copy_options::recursive);
    ScriptedWorkers workers;
    run.edit(file, workers, options, every_second);
    for (const std::string& text : texts(workers.commands())) all.push_back(text);
    std::filesystem::remove_all(run.directory().path());
    std::filesystem::rename(copy, run.directory().path());
    return all;
  }

  // With one edit in it.
  static io::EditsFile file_with(io::Edit edit) {
    return {.format = io::Format::native, .edits = {std::move(edit)}, .rejected = {}, .places = {"line 1"}};
  }

  StoredRun run{folder_.path() / "run"};
};

TEST_F(ResumedByIndex, RepeatsConflictsRemovalsAndRollbacksAreWhatReadingEverySegmentFinds) {
  io::EditsFile file = file_of(9);
  file.edits[1].target = "Grace";       // committed, in place of Ada
  file.edits[4].target = "Hedy";        // contradicts a committed one
  file.edits.push_back(file.edits[8]);  // repeated
  file.places.clear();
  for (std::size_t i = 0; i < file.edits.size(); ++i) file.places.push_back(fmt::format("line {}", i));
  file.edits.push_back({.id = "e5", .subject = "Rome", .prompt = "The mayor of {} is", .target = "Ada"});
  file.places.emplace_back("line 10");
  for (const OnConflict policy : {OnConflict::supersede, OnConflict::refuse, OnConflict::keep_both}) {
    const QueueOptions options{.batch_size = 1, .on_conflict = policy};
    run.reopen();
    const auto recorded = recorded_edits(run.journal());
    const auto expected = resumed(file, options);
    run.reopen_with_index();
    EXPECT_FALSE(run.journal().damaged_index());
    EXPECT_EQ(recorded_edits(run.journal()), recorded);
    EXPECT_EQ(recorded_edits(run.journal(), 7).front().removed_in, 7);
    EXPECT_EQ(resumed(file, options), expected);
    EXPECT_THAT(expected, testing::Contains("e3 removed in 12"));
    EXPECT_THAT(expected, testing::Contains("e2: batch 3: at an attention sink"));
    EXPECT_THAT(expected, testing::Contains(HasSubstr("line 10")));
    EXPECT_THAT(expected, testing::Contains("e6")) << "its batch was rolled back";
    EXPECT_EQ(std::ranges::count(expected, "e4 for e4"), policy == OnConflict::supersede ? 1 : 0);
  }
}

TEST_F(ResumedByIndex, NoAlteredSegmentIsReplayed) {
  flip_a_byte(run.journal().list()[4].path);
  run.reopen_with_index();
  EXPECT_FALSE(run.journal().damaged_index());
  {
    ScriptedWorkers workers(keeping_checkpoints);
    EXPECT_EQ(run.edit(file_of(10), workers, {.batch_size = 8}, every_second).committed, 5);
    EXPECT_THAT(texts(workers.commands()).front(), HasSubstr("load ")) << "of a later segment";
  }
  for (const auto& file : std::filesystem::directory_iterator(run.directory().checkpoint())) {
    if (file.path().extension() == ".h5") std::filesystem::remove(file);
  }
  run.reopen_with_index();
  ScriptedWorkers workers;
  EXPECT_THAT(tests::message_of([&] { run.edit(file_of(12), workers, {2}, every_second); }),
              HasSubstr(run.journal().list()[4].path.string()));
  workers.stopped();
  EXPECT_THAT(texts(workers.commands()), ElementsAre("stop"));
}

TEST_F(ResumedByIndex, NoAlteredSegmentIsReadToRemoveWhatIsSuperseded) {
  flip_a_byte(run.journal().list()[6].path);
  run.reopen_with_index();
  io::Edit later = file_of(7).edits[6], of_segment_6 = file_of(7).edits[5];
  {
    ScriptedWorkers workers;
    run.edit(file_with(later), workers, {1}, every_second);
    EXPECT_THAT(texts(workers.commands()), testing::Contains("e6"));
  }
  of_segment_6.target = "Grace";
  ScriptedWorkers workers;
  EXPECT_THAT(tests::message_of([&] { run.edit(file_with(of_segment_6), workers, {1}, every_second); }),
              HasSubstr(run.journal().list()[6].path.string()));
}

TEST_F(ResumedByIndex, RecordedEditsOfAGrowingJournalAreThoseOfItsEnd) {
  RecordedEdits recorded;
  EXPECT_EQ(recorded.at_end_of(run.journal()), recorded_edits(run.journal()));
  ScriptedWorkers workers;
  run.edit(file_of(9), workers, {.batch_size = 1});
  EXPECT_EQ(recorded.at_end_of(run.journal()), recorded_edits(run.journal()));
  run.journal().append(removal({.id = "e7", .segment = 15, .edit = 0}, std::ssize(run.journal().list())));
  EXPECT_EQ(recorded.at_end_of(run.journal()), recorded_edits(run.journal()));
  run.journal().append(rollback_segment(2, std::ssize(run.journal().list()), StoredRun::provenance()));
  EXPECT_EQ(recorded.at_end_of(run.journal()), recorded_edits(run.journal()));
  EXPECT_EQ(recorded.at_end_of(run.journal()).size(), 2U);
}

TEST_F(EditRunTest, RunsOfFewBatchesKeepCheckpointsAsOneOfManyDoes) {
  StoredRun run(folder_.path() / "run");
  std::vector<std::string> saved;
  for (std::int64_t night = 1; night <= 5; ++night) {
    run.reopen_with_index();
    ScriptedWorkers workers(keeping_checkpoints);
    run.edit(file_of(night), workers, {.batch_size = 1}, every_second);
    for (const std::string& text : texts(workers.commands()))
      if (text.starts_with("save")) saved.push_back(text);
  }
  EXPECT_THAT(saved, ElementsAre("save 2", "save 4"));
}

}  // namespace
}  // namespace anchorage::coordinator
