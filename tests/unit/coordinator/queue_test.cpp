#include "coordinator/queue.hpp"

#include <fmt/format.h>
#include <gmock/gmock.h>

#include "io/error.hpp"

namespace anchorage::coordinator {
namespace {

using testing::ElementsAre;
using testing::HasSubstr;
using testing::IsEmpty;

io::Edit edit(std::string id, std::string subject, std::string target, std::string prompt = "The CEO of {} is") {
  return {
      .id = std::move(id), .subject = std::move(subject), .prompt = std::move(prompt), .target = std::move(target)};
}

io::EditsFile file_with(std::vector<io::Edit> edits) {
  io::EditsFile file{.format = io::Format::native, .edits = std::move(edits), .rejected = {}};
  for (std::size_t i = 1; i <= file.edits.size(); ++i)
    file.places.push_back(fmt::format("facts.jsonl, line {}", i));
  return file;
}

RecordedEdit committed(io::Edit edit, std::int64_t batch) {
  return {.edit = std::move(edit), .batch = batch};
}

RecordedEdit set_aside(io::Edit edit, std::int64_t batch, std::string reason) {
  return {.edit = std::move(edit), .batch = batch, .state = io::EditState::set_aside, .reason = std::move(reason)};
}

// The ids of all batches that are still to come.
std::vector<std::vector<std::string>> drain(Queue queue) {
  std::vector<std::vector<std::string>> batches;
  while (!queue.empty()) {
    auto& ids = batches.emplace_back();
    for (const QueuedEdit& one : queue.take_batch()) ids.push_back(one.edit.id);
  }
  return batches;
}

const io::EditsFile five = file_with({edit("a", "Aral", "1"), edit("b", "Bonn", "2"), edit("c", "Cork", "3"),
                                      edit("d", "Dili", "4"), edit("e", "Elba", "5")});

TEST(Queue, FormsBatchesInTheOrderOfTheFileAndTheLastOneMayBeSmaller) {
  const Queue queue(five, {}, {.batch_size = 2});
  EXPECT_EQ(queue.edits(), 5);
  EXPECT_EQ(queue.batches(), 3);
  EXPECT_THAT(drain(queue), ElementsAre(ElementsAre("a", "b"), ElementsAre("c", "d"), ElementsAre("e")));
}

TEST(Queue, WhereApprovalIsRequiredOtherEditsWaitAsProposed) {
  auto approved = edit("a", "Aral", "1"), own = edit("b", "Bonn", "2"), open = edit("c", "Cork", "3");
  approved.author = own.author = open.author = "Ada";
  approved.approved_by = "Bob";
  own.approved_by = "Ada";
  const io::EditsFile file = file_with({approved, own, open});
  const Queue queue(file, {}, {.batch_size = 2, .require_approval = true});
  EXPECT_THAT(drain(queue), ElementsAre(ElementsAre("a")));
  ASSERT_EQ(queue.findings().set_aside.size(), 2U);
  EXPECT_EQ(queue.findings().set_aside[0].edit, "b");
  EXPECT_THAT(queue.findings().set_aside[0].reason, HasSubstr("proposed, but approved by its author, Ada, alone"));
  EXPECT_THAT(queue.findings().set_aside[1].reason, HasSubstr("proposed, but approved by nobody"));
  EXPECT_THAT(drain(Queue(file, {}, {.batch_size = 3})), ElementsAre(ElementsAre("a", "b", "c")));
}

TEST(Queue, TakesOnlyTheFirstEditsOfTheFileUnderALimit) {
  EXPECT_THAT(drain(Queue(five, {}, {.batch_size = 2, .limit = 3})),
              ElementsAre(ElementsAre("a", "b"), ElementsAre("c")));
  EXPECT_EQ(Queue(five, {}, {.limit = 100}).edits(), 5);
  EXPECT_TRUE(Queue(five, {}, {.limit = 0}).empty());
}

TEST(Queue, ALimitCountsTheFilesEditsAlsoWhenSomeAreCommitted) {
  const std::vector recorded{committed(edit("a", "Aral", "1"), 1), committed(edit("b", "Bonn", "2"), 1)};
  EXPECT_THAT(drain(Queue(five, recorded, {.limit = 3})), ElementsAre(ElementsAre("c")));
}

TEST(Queue, RefusesABatchOfNoEdits) {
  EXPECT_THROW(Queue(five, {}, {.batch_size = 0}), io::InternalError);
}

TEST(Queue, LeavesOutAnEditThatTheFileRepeats) {
  const Queue queue(file_with({edit("a", "Aral", "1"), edit("b", "Bonn", "2"), edit("a2", "Aral", "1")}), {}, {});
  EXPECT_EQ(queue.findings().repeated, 1);
  EXPECT_THAT(queue.findings().conflicts, IsEmpty());
  EXPECT_THAT(drain(queue), ElementsAre(ElementsAre("a", "b")));
}

TEST(Queue, AnotherPromptOrSubjectIsAnotherEdit) {
  const Queue queue(
      file_with({edit("a", "Aral", "1"), edit("b", "Aral", "1", "{} is led by"), edit("c", "Cork", "1")}), {}, {});
  EXPECT_EQ(queue.edits(), 3);
}

TEST(Queue, OfTwoTargetsInTheFileTheLaterOneIsWrittenAndTheConflictIsTold) {
  const Queue queue(file_with({edit("old", "Alphabet", "Larry Page"), edit("new", "Alphabet", "Sundar Pichai")}),
                    {}, {});
  ASSERT_EQ(queue.findings().conflicts.size(), 1);
  EXPECT_EQ(
      queue.findings().conflicts[0].text(),
      "edit new ('The CEO of Alphabet is' -> 'Sundar Pichai') replaces edit old (-> 'Larry Page'), earlier in the "
      "file");
  EXPECT_THAT(drain(queue), ElementsAre(ElementsAre("new")));
}

TEST(Queue, SkipsWhatIsCommitted) {
  std::vector<RecordedEdit> recorded;
  for (const io::Edit& one : five.edits) recorded.push_back(committed(one, 1));
  const Queue all(five, recorded, {});
  EXPECT_TRUE(all.empty());
  EXPECT_EQ(all.batches(), 0);
  EXPECT_EQ(all.findings().already_committed, 5);

  recorded.resize(2);
  EXPECT_THAT(drain(Queue(five, recorded, {.batch_size = 2})),
              ElementsAre(ElementsAre("c", "d"), ElementsAre("e")));
}

TEST(Queue, ANewTargetForACommittedFactIsWrittenAndTheConflictIsTold) {
  const std::vector recorded{committed(edit("old", "Alphabet", "Larry Page"), 3)};
  const Queue queue(file_with({edit("new", "Alphabet", "Sundar Pichai")}), recorded, {});
  ASSERT_EQ(queue.findings().conflicts.size(), 1);
  EXPECT_THAT(queue.findings().conflicts[0].text(),
              HasSubstr("replaces edit old (-> 'Larry Page'), committed in batch 3"));
  EXPECT_THAT(drain(queue), ElementsAre(ElementsAre("new")));
}

TEST(Queue, AnotherFactWithTheIdOfACommittedOneIsSetAsideWithBothPlaces) {
  const auto file = file_with({edit("a", "Aral", "1"), edit("b", "Bonn", "2")});
  std::vector recorded{committed(edit("b", "Cork", "3"), 4)};
  const Queue queue(file, recorded, {});
  const SetAside told{
      "facts.jsonl, line 2",
      "id 'b' is that of another fact, 'The CEO of Cork is' -> '3', committed in batch 4; give it one "
      "of its own, or remove that one first"};
  EXPECT_THAT(queue.findings().set_aside, ElementsAre(told));
  EXPECT_THAT(drain(queue), ElementsAre(ElementsAre("a")));
  EXPECT_THROW(Queue(file, recorded, {.strict = true}), io::UserError);

  recorded[0].removed_in = 5;
  EXPECT_THAT(drain(Queue(file, recorded, {.strict = true})), ElementsAre(ElementsAre("a", "b")))
      << "one that was removed has its id no more";
}

TEST(Queue, TheLaterWordOfACommittedFactMayHaveItsId) {
  const std::vector recorded{committed(edit("ceo-0042", "Alphabet", "Larry Page"), 3)};
  const Queue queue(file_with({edit("ceo-0042", "Alphabet", "Sundar Pichai")}), recorded, {.strict = true});
  EXPECT_EQ(queue.findings().conflicts.size(), 1);
  EXPECT_THAT(drain(queue), ElementsAre(ElementsAre("ceo-0042")));
}

TEST(Queue, FactsThatShareAnIdInTheRunAlreadyStayCommitted) {
  const std::vector recorded{committed(edit("a", "Aral", "1"), 1), committed(edit("a", "Bonn", "2"), 2)};
  const Queue queue(file_with({edit("a", "Bonn", "2")}), recorded, {.strict = true});
  EXPECT_EQ(queue.findings().already_committed, 1);
  EXPECT_THAT(queue.findings().set_aside, IsEmpty());
}

TEST(Queue, AFactThatChangesBackIsWrittenAgain) {
  const std::vector recorded{committed(edit("x", "Alphabet", "X"), 1), committed(edit("y", "Alphabet", "Y"), 2)};
  EXPECT_THAT(drain(Queue(file_with({edit("x", "Alphabet", "X")}), recorded, {})), ElementsAre(ElementsAre("x")));
}

TEST(Queue, TheSameFileHasNothingToDoAgainAlsoWhenItHoldsAConflict) {
  const auto file = file_with({edit("x", "Alphabet", "X"), edit("y", "Alphabet", "Y")});
  const std::vector recorded{committed(edit("y", "Alphabet", "Y"), 1)};
  EXPECT_TRUE(Queue(file, recorded, {}).empty());
}

TEST(Queue, WhatABatchHasSetAsideIsNotTriedAgainButToldWithItsReason) {
  const std::vector recorded{set_aside(edit("a", "Aral", "1"), 4, "at an attention sink")};
  const Queue queue(five, recorded, {});
  EXPECT_EQ(queue.edits(), 4);
  EXPECT_THAT(queue.findings().set_aside, ElementsAre(SetAside{"a", "batch 4: at an attention sink"}));
}

TEST(Queue, AnEditThatWasSetAsideReplacesNothing) {
  const std::vector recorded{committed(edit("x", "Alphabet", "X"), 1),
                             set_aside(edit("y", "Alphabet", "Y"), 2, "no")};
  EXPECT_TRUE(Queue(file_with({edit("x", "Alphabet", "X")}), recorded, {}).empty());
  const Queue third(file_with({edit("z", "Alphabet", "Z")}), recorded, {});
  ASSERT_EQ(third.findings().conflicts.size(), 1);
  EXPECT_EQ(third.findings().conflicts[0].earlier.id, "x");
}

TEST(Queue, AnEditThatSupersedesNamesTheOneWhosePlaceItTakes) {
  const std::vector recorded{committed(edit("a", "Aral", "1"), 2), committed(edit("old", "Alphabet", "Page"), 3)};
  Queue queue(file_with({edit("b", "Bonn", "2"), edit("new", "Alphabet", "Pichai")}), recorded, {});
  const auto batch = queue.take_batch();
  ASSERT_EQ(batch.size(), 2);
  EXPECT_THAT(batch[0].supersedes, IsEmpty());
  EXPECT_THAT(batch[1].supersedes, ElementsAre(io::RecordedPlace{.id = "old", .segment = 3, .edit = 0}));
}

TEST(Queue, AnEditSupersedesAllThatStandForItsQuestion) {
  const std::vector recorded{committed(edit("x", "Alphabet", "X"), 1), committed(edit("y", "Alphabet", "Y"), 2)};
  Queue queue(file_with({edit("x", "Alphabet", "X")}), recorded, {});
  EXPECT_EQ(queue.take_batch().front().supersedes.size(), 2);
}

TEST(Queue, WhatWasSupersededNeedNotBeSupersededAgain) {
  std::vector recorded{committed(edit("x", "Alphabet", "X"), 1), committed(edit("y", "Alphabet", "Y"), 2)};
  recorded[0].superseded_in = 2;
  Queue queue(file_with({edit("z", "Alphabet", "Z")}), recorded, {});
  EXPECT_THAT(queue.take_batch().front().supersedes,
              ElementsAre(io::RecordedPlace{.id = "y", .segment = 2, .edit = 0}));
}

TEST(Queue, UnderRefuseAConflictingEditIsSetAsideWithTheOneThatItContradicts) {
  const std::vector recorded{committed(edit("old", "Alphabet", "Page"), 3)};
  const Queue queue(file_with({edit("new", "Alphabet", "Pichai"), edit("b", "Bonn", "1"), edit("c", "Bonn", "2")}),
                    recorded, {.on_conflict = OnConflict::refuse});
  ASSERT_EQ(queue.findings().set_aside.size(), 2);
  EXPECT_EQ(
      queue.findings().set_aside[0],
      (SetAside{"c", "edit c ('The CEO of Bonn is' -> '2') contradicts edit b (-> '1'), earlier in the file"}));
  EXPECT_THAT(queue.findings().set_aside[1].reason,
              HasSubstr("contradicts edit old (-> 'Page'), committed in batch 3"));
  EXPECT_THAT(drain(queue), ElementsAre(ElementsAre("b")));
}

TEST(Queue, UnderKeepBothAConflictingEditIsWrittenBesideTheEarlierOne) {
  const std::vector recorded{committed(edit("old", "Alphabet", "Page"), 3)};
  const auto file = file_with({edit("old", "Alphabet", "Page"), edit("new", "Alphabet", "Pichai"),
                               edit("b", "Bonn", "1"), edit("c", "Bonn", "2"), edit("b2", "Bonn", "1")});
  Queue queue(file, recorded, {.on_conflict = OnConflict::keep_both});
  EXPECT_EQ(queue.findings().already_committed, 1);
  EXPECT_EQ(queue.findings().repeated, 1);
  EXPECT_THAT(queue.findings().conflicts.back().text(), HasSubstr("is written beside edit old"));
  const auto batch = queue.take_batch();
  ASSERT_EQ(batch.size(), 3);
  for (const QueuedEdit& queued : batch) EXPECT_THAT(queued.supersedes, IsEmpty());
}

TEST(Queue, AnEditThatWasTakenBackIsNotWrittenAgainButAnotherAnswerIs) {
  std::vector recorded{committed(edit("x", "Alphabet", "X"), 1)};
  recorded[0].removed_in = 2;
  const Queue same(file_with({edit("x", "Alphabet", "X")}), recorded, {});
  EXPECT_TRUE(same.empty());
  ASSERT_EQ(same.findings().removed.size(), 1);
  EXPECT_EQ(same.findings().removed[0].removed_in, 2);
  Queue other(file_with({edit("y", "Alphabet", "Y")}), recorded, {});
  EXPECT_THAT(other.findings().conflicts, IsEmpty());
  EXPECT_THAT(other.take_batch(), ElementsAre(QueuedEdit{.edit = edit("y", "Alphabet", "Y")}));
}

TEST(Queue, AnEditThatWasTakenBackStaysOutAlsoWhereAnotherAnswerStands) {
  const auto file = file_with({edit("x", "Alphabet", "X"), edit("y", "Alphabet", "Y")});
  std::vector recorded{committed(edit("x", "Alphabet", "X"), 1), committed(edit("y", "Alphabet", "Y"), 1)};
  recorded[0].removed_in = 2;
  const Queue queue(file, recorded, {.on_conflict = OnConflict::keep_both});
  EXPECT_TRUE(queue.empty());
  EXPECT_EQ(queue.findings().already_committed, 1);
  ASSERT_EQ(queue.findings().removed.size(), 1);
  EXPECT_EQ(queue.findings().removed[0].edit.id, "x");
}

TEST(Queue, EachAnswerThatABatchHasSetAsideIsToldAndNoneIsTriedAgain) {
  const auto file = file_with({edit("x", "Alphabet", "X"), edit("y", "Alphabet", "Y"), edit("z", "Alphabet", "Z")});
  const std::vector recorded{set_aside(edit("x", "Alphabet", "X"), 1, "no"),
                             set_aside(edit("y", "Alphabet", "Y"), 1, "never"),
                             committed(edit("z", "Alphabet", "Z"), 1)};
  const Queue queue(file, recorded, {.on_conflict = OnConflict::keep_both});
  EXPECT_TRUE(queue.empty());
  EXPECT_THAT(queue.findings().set_aside,
              ElementsAre(SetAside{"x", "batch 1: no"}, SetAside{"y", "batch 1: never"}));
}

TEST(Queue, OfAnAnswerThatIsRecordedTwiceTheNewestRecordCounts) {
  std::vector recorded{set_aside(edit("x", "Alphabet", "X"), 1, "no"), committed(edit("x", "Alphabet", "X"), 2),
                       committed(edit("y", "Alphabet", "Y"), 3)};
  recorded[1].superseded_in = 3;
  EXPECT_THAT(drain(Queue(file_with({edit("x", "Alphabet", "X")}), recorded, {})), ElementsAre(ElementsAre("x")));
}

TEST(Queue, WhatWasTakenBackMayTakeThePlaceOfALaterAnswer) {
  std::vector recorded{committed(edit("x", "Alphabet", "X"), 1), committed(edit("y", "Alphabet", "Y"), 3)};
  recorded[0].removed_in = 2;
  EXPECT_THAT(drain(Queue(file_with({edit("x", "Alphabet", "X")}), recorded, {})), ElementsAre(ElementsAre("x")));
}

TEST(Queue, PoliciesForConflictsHaveNames) {
  for (const char* name : {"supersede", "refuse", "keep-both"})
    EXPECT_EQ(name_of(conflict_policy_named(name)), name);
  EXPECT_THROW(conflict_policy_named("both"), io::UserError);
}

TEST(Queue, CountsTheRecordsThatCouldNotBeReadAsSetAside) {
  auto file = five;
  file.rejected.push_back({"edits.jsonl, line 12", "field 'target' is empty"});
  const Queue queue(file, {}, {});
  EXPECT_EQ(queue.edits(), 5);
  EXPECT_THAT(queue.findings().set_aside, ElementsAre(SetAside{"edits.jsonl, line 12", "field 'target' is empty"}));
}

TEST(Queue, AddedEditsComeAfterTheQueuedOnesAndAreSettledWithThem) {
  Queue queue(five, {}, {.batch_size = 2});
  queue.take_batch();
  const std::vector recorded{committed(edit("a", "Aral", "1"), 1), committed(edit("b", "Bonn", "2"), 1)};
  const QueueFindings findings = queue.add(
      file_with({edit("a", "Aral", "1"), edit("c2", "Cork", "9"), edit("d", "Dali", "7"), edit("f", "Fes", "6")}),
      recorded);
  EXPECT_EQ(findings.already_committed, 1) << "a";
  ASSERT_EQ(findings.conflicts.size(), 1);
  EXPECT_EQ(findings.conflicts[0].earlier.id, "c") << "not written yet: the later word is";
  ASSERT_EQ(findings.set_aside.size(), 1);
  EXPECT_THAT(findings.set_aside[0].reason, HasSubstr("id 'd' is that of another fact, at queued before"));
  EXPECT_THAT(drain(queue), ElementsAre(ElementsAre("d", "e"), ElementsAre("c2", "f")));
}

TEST(Queue, AnAddedEditSupersedesWhatHasBeenCommittedSince) {
  Queue queue(file_with({}), {}, {.batch_size = 2});
  const std::vector recorded{committed(edit("a", "Aral", "1"), 1)};
  queue.add(file_with({edit("a2", "Aral", "5")}), recorded);
  const auto batch = queue.take_batch();
  ASSERT_EQ(batch.size(), 1);
  EXPECT_THAT(batch[0].supersedes, ElementsAre(recorded[0].place()));
}

TEST(Queue, IsAsItWasWhereAddedEditsAreRefusedUnderStrict) {
  Queue queue(five, {}, {.batch_size = 2, .strict = true});
  const std::vector recorded{committed(edit("z", "Zug", "1"), 1)};
  EXPECT_THROW(queue.add(file_with({edit("z", "Zagreb", "5")}), recorded), io::UserError);
  EXPECT_EQ(queue.edits(), 5);
}

}  // namespace
}  // namespace anchorage::coordinator
