#include "coordinator/edit_run.hpp"

#include <gmock/gmock.h>
#include <algorithm>
#include <chrono>
#include <future>
#include <stdexcept>
#include <thread>

#include "io/error.hpp"
#include "tests/support/small_disk.hpp"
#include "tests/unit/coordinator/stored_run.hpp"

namespace anchorage::coordinator {
namespace {

using sharding::ApplyBatch;
using sharding::ReplaySegment;
using sharding::Stop;
using testing::ElementsAre;
using testing::HasSubstr;
using testing::IsEmpty;
using testing::Pointwise;

TEST_F(EditRunTest, CommitsOneSegmentABatchThenStopsTheWorkers) {
  StoredRun run(folder_.path() / "run");
  ScriptedWorkers workers;
  const RunResult result = run.edit(file_of(5), workers);

  EXPECT_THAT(texts(workers.commands()), ElementsAre("e0 e1", "e2 e3", "e4", "stop"));
  EXPECT_EQ(result.batches, 3);
  EXPECT_EQ(result.committed, 5);
  EXPECT_THAT(result.set_aside, IsEmpty());
  EXPECT_FALSE(result.stopped);
  EXPECT_EQ(result.seconds.activities.values, 3);
  EXPECT_EQ(result.seconds.activities.evaluate, 12);
  EXPECT_GT(result.seconds.total, 0);
  EXPECT_EQ(result.drift, (Drift{{4, 0.25}}));

  run.reopen();  // proves the chain
  ASSERT_EQ(run.journal().list().size(), 4);
  const io::BatchSegment second = run.segment(2);
  EXPECT_EQ(second.header.kind, io::SegmentKind::batch);
  EXPECT_EQ(second.header.batch, 2);
  EXPECT_EQ(second.header.version, "0.1.0");
  EXPECT_EQ(second.header.world, 3);
  EXPECT_EQ(second.header.seed, 42);
  EXPECT_THAT(second.header.utc, testing::MatchesRegex("20..-..-..T..:..:..Z"));
  EXPECT_EQ(second.guard.decision, "accepted");
  const auto applied = apply({{file_of(5).edits[2], file_of(5).edits[3]}});
  EXPECT_EQ(second.edits, applied.edits);
  EXPECT_EQ(second.layers, applied.layers);
}

TEST_F(EditRunTest, WritesALineOfMetricsABatch) {
  StoredRun run(folder_.path() / "run");
  ScriptedWorkers workers;
  run.edit(file_of(3), workers);

  const auto lines = run.metrics();
  ASSERT_EQ(lines.size(), 2);
  EXPECT_EQ(lines[0].at("batch"), 1);
  EXPECT_EQ(lines[0].at("utc"), run.segment(1).header.utc);
  EXPECT_EQ(lines[0].at("edits"), (nlohmann::json{{"committed", 2}, {"set_aside", 0}}));
  EXPECT_EQ(lines[0].at("nll"), (nlohmann::json{{"before", 9.0}, {"after", 0.5}}));
  EXPECT_EQ(lines[0].at("match"), (nlohmann::json{{"before", 0.5}, {"after", 1.0}}));
  EXPECT_EQ(lines[0].at("values"), (nlohmann::json{{"nll", 0.25}, {"match", 1.0}}));
  EXPECT_EQ(lines[0].at("seconds").at("communicate"), 3.0);
  EXPECT_EQ(lines[0].at("drift"), (nlohmann::json{{"4", 0.25}}));
}

TEST_F(EditRunTest, ResumingReplaysTheCommittedSegmentsAndGoesOnWithTheRest) {
  StoredRun run(folder_.path() / "run");
  {
    ScriptedWorkers workers;
    run.edit(file_of(7), workers, {.batch_size = 2, .limit = 4});
  }
  run.reopen();
  ScriptedWorkers workers;
  const RunResult result = run.edit(file_of(7), workers);
  EXPECT_THAT(texts(workers.commands()), ElementsAre("seg-00000001.h5", "seg-00000002.h5", "e4 e5", "e6", "stop"));
  EXPECT_EQ(result.batches, 2);
  EXPECT_EQ(result.committed, 3);
  EXPECT_EQ(run.journal().last().header.batch, 4);
}

TEST_F(EditRunTest, TheSameFileAgainDoesNothing) {
  StoredRun run(folder_.path() / "run");
  {
    ScriptedWorkers workers;
    run.edit(file_of(4), workers);
  }
  run.reopen();
  ScriptedWorkers workers;
  const RunResult result = run.edit(file_of(4), workers);
  EXPECT_THAT(texts(workers.commands()), ElementsAre("stop"));
  EXPECT_EQ(result.batches, 0);
  EXPECT_EQ(result.drift, (Drift{{4, 0.25}}));
  EXPECT_EQ(run.journal().list().size(), 3);
  EXPECT_EQ(run.metrics().size(), 2);
}

// Of each batch the first edit is refused; of `fully`, all are.
sharding::Reply refusing(const sharding::Command& command, const std::string& fully) {
  sharding::Reply reply = ScriptedWorkers::answer(command);
  auto* applied = std::get_if<sharding::BatchApplied>(&reply);
  if (applied == nullptr) return reply;
  for (io::EditRecord& edit : applied->edits) {
    if (&edit != &applied->edits.front() && edit.id != fully) continue;
    edit.state = io::EditState::set_aside;
    edit.reason = "at an attention sink";
  }
  return reply;
}

TEST_F(EditRunTest, TellsWhichEditsTheWorkersSetAsideAndDoesNotTryThemAgain) {
  StoredRun run(folder_.path() / "run");
  {
    ScriptedWorkers workers([](const auto& command) { return refusing(command, ""); });
    const RunResult result = run.edit(file_of(4), workers);
    EXPECT_EQ(result.committed, 2);
    EXPECT_THAT(result.set_aside,
                ElementsAre(SetAside{"e0", "at an attention sink"}, SetAside{"e2", "at an attention sink"}));
  }
  run.reopen();
  ScriptedWorkers workers;
  const RunResult again = run.edit(file_of(4), workers);
  EXPECT_THAT(texts(workers.commands()), ElementsAre("stop"));
  EXPECT_EQ(again.set_aside.size(), 2);
}

TEST_F(EditRunTest, ABatchThatIsSetAsideAsAWholeIsASegmentWithoutLayers) {
  StoredRun run(folder_.path() / "run");
  ScriptedWorkers workers([](const auto& command) { return refusing(command, "e1"); });
  const RunResult result = run.edit(file_of(4), workers);
  EXPECT_EQ(result.batches, 2);
  EXPECT_EQ(result.committed, 1);
  EXPECT_THAT(run.segment(1).layers, IsEmpty());
  EXPECT_EQ(run.segment(1).guard.decision, "every edit set aside");
  EXPECT_EQ(run.segment(2).layers.size(), 1);
  EXPECT_TRUE(run.metrics().at(0).at("nll").at("after").is_null());
  EXPECT_THAT(run.metrics().at(0).at("drift"), IsEmpty());
}

// Whatever has e2 in it raises the held-out loss.
sharding::Reply poisoned(const sharding::Command& command) {
  sharding::Reply reply = ScriptedWorkers::answer(command);
  if (auto* applied = std::get_if<sharding::BatchApplied>(&reply)) {
    if (std::ranges::count(applied->edits, "e2", &io::EditRecord::id) > 0) applied->heldout_loss.after = 10;
  }
  return reply;
}

TEST_F(EditRunTest, ABatchThatTheGuardRefusesIsUndoneAndTriedInHalvesDownToSingleEdits) {
  StoredRun run(folder_.path() / "run");
  ScriptedWorkers workers(poisoned);
  const RunResult result = run.edit(file_of(8), workers, {.batch_size = 4});
  EXPECT_THAT(texts(workers.commands()), ElementsAre("e0 e1 e2 e3", "revert", "e0 e1", "e2 e3", "revert", "e2",
                                                     "revert", "e3", "e4 e5 e6 e7", "stop"));
  EXPECT_EQ(result.committed, 7);
  ASSERT_EQ(result.set_aside.size(), 1);
  EXPECT_EQ(result.set_aside[0], (SetAside{"e2", "the held-out loss rose by 7.000 nats (limit 0.25)"}));
  const io::BatchSegment aside = run.segment(2);
  EXPECT_THAT(aside.layers, IsEmpty());
  EXPECT_EQ(aside.edits.at(0).state, io::EditState::set_aside);
  EXPECT_EQ(aside.guard.probes.at(1).after, 10);
  EXPECT_EQ(aside.guard.decision, "undone: the held-out loss rose by 7.000 nats (limit 0.25)");
}

// Each attempt takes 20 ms.
sharding::Reply slowly(sharding::Reply reply) {
  if (std::holds_alternative<sharding::BatchApplied>(reply))
    std::this_thread::sleep_for(std::chrono::milliseconds(20));
  return reply;
}

TEST_F(EditRunTest, TheSecondsOfAnUndoneAttemptCountWithTheCommitThatComesNext) {
  StoredRun run(folder_.path() / "run");
  ScriptedWorkers workers([](const auto& command) { return slowly(poisoned(command)); });
  const auto begun = std::chrono::steady_clock::now();
  const RunResult result = run.edit(file_of(8), workers, {.batch_size = 4});
  const std::chrono::duration<double> taken = std::chrono::steady_clock::now() - begun;

  std::vector<double> attempts, totals;
  for (const nlohmann::json& line : run.metrics()) {
    attempts.push_back(line.at("seconds").at("values"));  // 1 s each, the workers say
    totals.push_back(line.at("seconds").at("total"));
  }
  EXPECT_THAT(attempts, ElementsAre(2, 2, 1, 1));
  EXPECT_THAT(totals, Pointwise(testing::Ge(), {0.04, 0.04, 0.02, 0.02}));
  EXPECT_EQ(result.seconds.activities.values, 6);
  EXPECT_LE(result.seconds.total, taken.count()) << "no second counts twice";
}

TEST_F(EditRunTest, WithTheGuardOffEverythingIsCommitted) {
  StoredRun run(folder_.path() / "run");
  ScriptedWorkers workers(poisoned);
  EXPECT_EQ(run.edit(file_of(4), workers, {.batch_size = 4}, {.guard = {.on = false}}).committed, 4);
  EXPECT_EQ(run.segment(1).guard.probes.at(1).after, 10) << "what was measured is still told";
}

TEST_F(EditRunTest, ARunThatEndedBetweenTwoPartsGoesOnWithTheSameParts) {
  for (const int last : {1, 2, 3}) {
    StoredRun run(folder_.path() / fmt::format("run{}", last));
    {
      ScriptedWorkers workers(poisoned);
      run.edit(file_of(8), workers, {.batch_size = 4});
    }
    for (int segment = last + 1; segment <= 4; ++segment)
      std::filesystem::remove(run.directory().journal() / io::segment_file_name(segment));
    run.reopen();
    ScriptedWorkers workers(poisoned);
    run.edit(file_of(8), workers, {.batch_size = 4});
    auto commands = texts(workers.commands());
    commands.erase(commands.begin(), commands.begin() + last);  // the replays
    std::vector<std::string> expected = {"e2 e3", "revert", "e2", "revert", "e3", "e4 e5 e6 e7", "stop"};
    expected.erase(expected.begin(), expected.begin() + (last == 1 ? 0 : last == 2 ? 4 : 5));
    EXPECT_EQ(commands, expected) << "after segment " << last;
  }
}

io::EditsFile second_thoughts(std::int64_t edits) {
  io::EditsFile file = file_of(edits);
  file.edits[1].id = "new";
  file.edits[1].target = "Eve";
  return file;
}

TEST_F(EditRunTest, AnEditThatSupersedesIsSentWithTheOneWhosePlaceItTakes) {
  StoredRun run(folder_.path() / "run");
  {
    ScriptedWorkers workers;
    run.edit(file_of(3), workers);
  }
  run.reopen();
  ScriptedWorkers workers;
  run.edit(second_thoughts(4), workers);
  EXPECT_THAT(texts(workers.commands()),
              ElementsAre("seg-00000001.h5", "seg-00000002.h5", "new e3 for e1", "stop"));
  const auto command = std::get<ApplyBatch>(workers.commands()[2]);
  EXPECT_EQ(command.superseded.edits, (std::vector<io::RecordedPlace>{{.id = "e1", .segment = 1, .edit = 1}}));
  EXPECT_EQ(command.superseded.live.size(), 2);
}

TEST_F(EditRunTest, AnEditWhoseSuccessorIsRefusedStays) {
  StoredRun run(folder_.path() / "run");
  {
    ScriptedWorkers workers;
    run.edit(file_of(3), workers);
  }
  run.reopen();
  // The first of each batch.
  ScriptedWorkers workers([](const auto& command) { return slowly(refusing(command, "")); });
  const RunResult result = run.edit(second_thoughts(5), workers, {.batch_size = 3});
  EXPECT_THAT(texts(workers.commands()),
              ElementsAre("seg-00000001.h5", "seg-00000002.h5", "new e3 e4 for e1", "revert", "e3 e4", "stop"));
  EXPECT_THAT(result.set_aside.front(), (SetAside{"new", "at an attention sink"}));
  EXPECT_THAT(run.segment(3).layers, IsEmpty());
  ASSERT_EQ(run.segment(3).edits.size(), 1U);
  EXPECT_TRUE(std::isnan(run.segment(3).edits[0].nll_after)) << "measured on weights that were reverted";
  EXPECT_FALSE(run.segment(3).edits[0].match_after);
  EXPECT_GE(run.metrics().at(2).at("seconds").at("total"), 0.02);
}

// The state takes a batch in when its segment is committed, and never one that was reverted.
TEST_F(EditRunTest, ABatchIsAcceptedAfterItsCommitAndBeforeTheNextOne) {
  StoredRun run(folder_.path() / "run");
  std::vector<std::size_t> segments_at_accept;
  ScriptedWorkers workers([&](const sharding::Command& command) {
    if (std::holds_alternative<sharding::AcceptBatch>(command))
      segments_at_accept.push_back(
          io::Journal::open(run.directory().journal(), io::JournalAccess::read).list().size());
    return poisoned(command);
  });
  run.edit(file_of(4), workers, {.batch_size = 4});
  std::vector<std::string> order;
  for (const sharding::Command& command : workers.commands()) {
    if (std::holds_alternative<sharding::AcceptBatch>(command)) order.emplace_back("accept");
    if (std::holds_alternative<ApplyBatch>(command)) order.emplace_back("apply");
    if (std::holds_alternative<sharding::RevertBatch>(command)) order.emplace_back("revert");
  }
  std::string before = "accept";
  for (const std::string& one : order) {
    EXPECT_EQ(one == "apply", before != "apply") << "each batch is accepted or reverted, once";
    before = one;
  }
  EXPECT_NE(before, "apply");
  ASSERT_FALSE(segments_at_accept.empty());
  EXPECT_EQ(segments_at_accept.front(), 2U) << "base and the batch";
}

// Workers whose least squares drift with every batch of e1, when it is written and when it is replayed.
sharding::Reply drifting(const sharding::Command& command, bool& e1) {
  if (const auto* batch = std::get_if<ApplyBatch>(&command)) e1 = batch->edits.front().id == "e1";
  if (std::holds_alternative<sharding::AcceptBatch>(command)) return sharding::BatchAccepted{.drifted = e1};
  if (const auto* replay = std::get_if<ReplaySegment>(&command))
    return sharding::SegmentReplayed{.drifted = replay->path.ends_with("2.h5")};
  return ScriptedWorkers::answer(command);
}

TEST_F(EditRunTest, LeastSquaresThatDriftAreComputedAnewAtTheSamePlaceWhenTheRunIsReplayed) {
  StoredRun run(folder_.path() / "run");
  bool e1 = false;
  {
    ScriptedWorkers workers([&](const auto& command) { return drifting(command, e1); });
    run.edit(file_of(3), workers, {.batch_size = 1});
    EXPECT_THAT(texts(workers.commands()), ElementsAre("e0", "e1", "refresh 2", "e2", "stop"));
  }
  run.reopen();
  ScriptedWorkers workers([&](const auto& command) { return drifting(command, e1); });
  run.edit(file_of(4), workers, {.batch_size = 1});
  EXPECT_THAT(texts(workers.commands()),
              ElementsAre("seg-00000001.h5", "seg-00000002.h5", "refresh 2", "seg-00000003.h5", "e3", "stop"));
}

TEST_F(EditRunTest, AnEditThatSupersedesIsSentWithTheSegmentsFromThatOfTheOtherOnAlone) {
  StoredRun run(folder_.path() / "run");
  {
    ScriptedWorkers workers;
    run.edit(file_of(6), workers);
  }
  io::EditsFile file = file_of(6);
  file.edits[3].target = "Grace";
  ScriptedWorkers workers;
  run.edit(file, workers);
  const auto command = std::get<ApplyBatch>(workers.commands().at(3));
  EXPECT_EQ(command.superseded.live,
            (std::vector<std::string>{run.journal().list()[2].path, run.journal().list()[3].path}));
}

TEST_F(EditRunTest, SavesCheckpointsAndResumesFromTheNewest) {
  StoredRun run(folder_.path() / "run");
  {
    ScriptedWorkers workers(keeping_checkpoints);
    run.edit(file_of(7), workers, {.batch_size = 1}, {.checkpoint_every = 2});
    EXPECT_THAT(texts(workers.commands()),
                ElementsAre("e0", "e1", "save 2", "e2", "e3", "save 4", "e4", "e5", "save 6", "e6", "stop"));
  }
  run.reopen();
  {
    ScriptedWorkers workers(keeping_checkpoints);
    run.edit(file_of(8), workers, {.batch_size = 1}, {.checkpoint_every = 2});
    EXPECT_THAT(texts(workers.commands()), ElementsAre("load 6", "seg-00000007.h5", "e7", "save 8", "stop"))
        << "the second segment after the checkpoint";
  }
  run.reopen();
  const auto newest = run.directory().checkpoint() / "seg-00000008-layer-4.h5";
  std::filesystem::resize_file(newest, 100);
  {
    Warnings warnings;
    ScriptedWorkers workers(keeping_checkpoints);
    run.edit(file_of(9), workers, warnings, {.batch_size = 1}, {.checkpoint_every = 2});
    EXPECT_EQ(texts(workers.commands()).front(), "load 6");
    EXPECT_THAT(warnings.texts, ElementsAre(HasSubstr(newest.string() + " is ignored")));
  }
  run.reopen();
  ScriptedWorkers workers;
  run.edit(file_of(10), workers, {.batch_size = 1});
  EXPECT_EQ(texts(workers.commands()).front(), "seg-00000001.h5") << "without checkpoints everything is replayed";
}

TEST_F(EditRunTest, WarnsOnceWhereTheSearchFindsTooFewOfTheTargets) {
  ScriptedWorkers workers([](const sharding::Command& command) {
    sharding::Reply reply = ScriptedWorkers::answer(command);
    if (auto* applied = std::get_if<sharding::BatchApplied>(&reply)) applied->values = {.nll = 4, .match = 0.25};
    return reply;
  });
  Warnings warnings;
  StoredRun(folder_.path() / "run").edit(file_of(3), workers, warnings, {.batch_size = 1});
  EXPECT_THAT(warnings.texts, ElementsAre(HasSubstr("batch 1: even with its values added, before the weights are "
                                                    "solved, the model says 25 % of the targets")));
}

TEST_F(EditRunTest, TheWorkersAreStoppedWhenTheRunNeverStarts) {
  StoredRun run(folder_.path() / "run");
  ScriptedWorkers workers;
  SilentObserver observer;
  boost::asio::io_context context;
  {
    const EditRun never(context, workers, run.directory(), run.journal(), Queue(file_of(2), {}, {}), {}, observer);
  }
  EXPECT_TRUE(workers.stopped());
}

TEST_F(EditRunTest, AnExceptionBetweenTwoBatchesLeavesRunAndTheWorkersAreStopped) {
  struct Thrower : Observer {
    void committed(const BatchReport&) override { throw std::runtime_error("from the observer"); }
  };
  StoredRun run(folder_.path() / "run");
  ScriptedWorkers workers;
  Thrower observer;
  boost::asio::io_context context;
  EditRun edits(context, workers, run.directory(), run.journal(), Queue(file_of(4), {}, {2}), {}, observer);
  edits.start();
  EXPECT_THROW(context.run(), std::runtime_error);
  EXPECT_TRUE(workers.stopped());  // while the run still exists
  EXPECT_THAT(texts(workers.commands()), ElementsAre("e0 e1", "stop"));
  EXPECT_EQ(edits.result().batches, 1);
}

TEST_F(EditRunTest, StoppingTheContextEndsARunWhoseWorkersDoNotAnswer) {
  StoredRun run(folder_.path() / "run");
  std::promise<void> released;
  const std::shared_future<void> release = released.get_future().share();
  SilentObserver observer;
  boost::asio::io_context context;
  ScriptedWorkers workers([&](const sharding::Command& command) {
    context.stop();
    release.wait();
    return ScriptedWorkers::answer(command);
  });
  {
    EditRun edits(context, workers, run.directory(), run.journal(), Queue(file_of(4), {}, {2}), {}, observer);
    edits.start();
    context.run();
    EXPECT_EQ(edits.result().batches, 0);
  }
  released.set_value();  // the reply comes after the run's end
}

TEST_F(EditRunTest, AFullDiskLeavesTheLastSegmentWholeAndResumeGoesOnFromIt) {
  const tests::SmallDisk disk("4m");
  if (!disk.refusal().empty()) GTEST_SKIP() << disk.refusal();
  const auto answer = [](const sharding::Command& command) -> sharding::Reply {
    if (const auto* batch = std::get_if<ApplyBatch>(&command)) return apply(*batch, 2000);
    return ScriptedWorkers::answer(command);
  };
  StoredRun run(disk.path() / "run");
  disk.fill_up_to(200'000);
  {
    ScriptedWorkers workers(answer);
    EXPECT_THROW(run.edit(file_of(40), workers), io::SystemError);
    EXPECT_TRUE(workers.stopped());
  }
  run.reopen();  // proves the chain
  const std::size_t whole = run.journal().list().size();
  EXPECT_GT(whole, 1);
  EXPECT_LT(whole, 21);

  disk.make_room();
  ScriptedWorkers workers(answer);
  run.edit(file_of(40), workers);
  EXPECT_EQ(texts(workers.commands()).size(), 21);  // 20 batches, each replayed or applied, and the stop
  EXPECT_EQ(run.journal().list().size(), 21);
  std::vector<std::string> ids, expected;
  for (const RecordedEdit& record : recorded_edits(run.journal())) ids.push_back(record.edit.id);
  for (const io::Edit& edit : file_of(40).edits) expected.push_back(edit.id);
  EXPECT_EQ(ids, expected);
}

}  // namespace
}  // namespace anchorage::coordinator
