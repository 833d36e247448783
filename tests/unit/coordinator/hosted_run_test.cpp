// A run composed from its inputs: observers, more edits while it waits, and the failure of either thread.
#include "coordinator/hosted_run.hpp"

#include <gmock/gmock.h>

#include <csignal>
#include <future>

#include "io/error.hpp"
#include "tests/support/message_of.hpp"
#include "tests/unit/coordinator/stored_run.hpp"

namespace anchorage::coordinator {
namespace {

using testing::ElementsAre;
using testing::HasSubstr;

const io::BaseRecord base{
    .model = "m", .tokenizer = "t", .statistics = "s", .hparams = "layers: [4]\n", .layers = {}};

class HostedRunTest : public EditRunTest {
 protected:
  RunInputs inputs(io::EditsFile edits) {
    RunInputs made = RunInputs::open(folder_.path() / "run", false, std::move(edits));
    RunPlan plan;
    plan.record.method = "memit";
    made.begin(plan, 2, {});
    return made;
  }

  // The workers have a thread of their own here: the command loop has nothing to do until they are stopped.
  RunResult run(HostedRun& hosted, ScriptedWorkers& workers) {
    return hosted.run([&] { workers.stopped(); }, [](const GraceIsOver&) {});
  }

  static HostedRunOptions options() { return {.queue = {.batch_size = 2}, .provenance = StoredRun::provenance()}; }
};

// Counts what it is told.
struct CountingObserver : Observer {
  void committed(const BatchReport&) override { ++batches; }
  void added(std::int64_t edits, const QueueFindings& findings) override {
    added_edits += edits;
    known += findings.already_committed;
  }
  void finished(const RunResult&) override { ended = true; }
  int batches = 0;
  std::int64_t added_edits = 0, known = 0;
  bool ended = false;
};

TEST_F(HostedRunTest, BeginsTheJournalAndCommitsWhatTheInputsHold) {
  RunInputs begun = inputs(file_of(5));
  ScriptedWorkers workers;
  HostedRun hosted(begun, base, options(), workers);
  const RunResult result = run(hosted, workers);
  EXPECT_EQ(result.committed, 5);
  const auto journal = io::Journal::open(begun.directory.journal());
  ASSERT_EQ(journal.list().size(), 4);
  EXPECT_EQ(io::SegmentReader(journal.list()[0].path).base(), base);
}

TEST_F(HostedRunTest, EveryObserverSeesTheRun) {
  RunInputs begun = inputs(file_of(4));
  ScriptedWorkers workers;
  HostedRun hosted(begun, base, options(), workers);
  CountingObserver first, second;
  hosted.observe(first);
  hosted.observe(second);
  run(hosted, workers);
  for (const CountingObserver* observer : {&first, &second}) {
    EXPECT_EQ(observer->batches, 2);
    EXPECT_TRUE(observer->ended);
  }
}

// Gives the run what it waits for, from its own thread: two edits that it has and two new ones, then nothing more.
struct Feeder : CountingObserver {
  void waiting() override {
    if (rounds++ == 0) {
      hosted->add(file_of(6));
    } else {
      hosted->close();
    }
  }
  HostedRun* hosted = nullptr;
  int rounds = 0;
};

TEST_F(HostedRunTest, ARunThatWaitsTakesMoreEditsUntilItIsClosed) {
  RunInputs begun = inputs(file_of(4));
  ScriptedWorkers workers;
  HostedRunOptions wanted = options();
  wanted.run.waits = true;
  HostedRun hosted(begun, base, wanted, workers);
  Feeder feeder;
  feeder.hosted = &hosted;
  hosted.observe(feeder);
  const RunResult result = run(hosted, workers);
  EXPECT_THAT(texts(workers.commands()), ElementsAre("e0 e1", "e2 e3", "e4 e5", "stop"));
  EXPECT_EQ(result.committed, 6);
  EXPECT_EQ(feeder.added_edits, 2);
  EXPECT_EQ(feeder.known, 4);
  EXPECT_FALSE(result.stopped);
}

TEST_F(HostedRunTest, EditsAddedWhileABatchIsInFlightComeAfterIt) {
  RunInputs begun = inputs(file_of(2));
  HostedRun* hosted = nullptr;
  ScriptedWorkers workers([&](const sharding::Command& command) {
    if (texts({command}) == std::vector<std::string>{"e0 e1"}) hosted->add(file_of(3));
    return ScriptedWorkers::answer(command);
  });
  HostedRun made(begun, base, options(), workers);
  hosted = &made;
  EXPECT_EQ(run(made, workers).committed, 3);
  EXPECT_THAT(texts(workers.commands()), ElementsAre("e0 e1", "e2", "stop"));
}

TEST_F(HostedRunTest, AddedEditsAreCompletedBeforeTheyAreQueued) {
  RunInputs begun = inputs(file_of(2));
  ScriptedWorkers workers;
  HostedRunOptions wanted = options();
  wanted.run.waits = true;
  wanted.run.complete = [](io::EditsFile& file) {
    for (io::Edit& edit : file.edits) edit.chat_prompt = "chat";
  };
  HostedRun hosted(begun, base, wanted, workers);
  Feeder feeder;
  feeder.hosted = &hosted;
  hosted.observe(feeder);
  run(hosted, workers);
  EXPECT_EQ(std::get<sharding::ApplyBatch>(workers.commands().at(2)).edits.front().chat_prompt, "chat");
}

TEST_F(HostedRunTest, AddedEditsThatCannotBeCompletedAreSetAside) {
  RunInputs begun = inputs(file_of(2));
  ScriptedWorkers workers;
  HostedRunOptions wanted = options();
  wanted.run.waits = true;
  wanted.run.complete = [](io::EditsFile&) { throw std::runtime_error("no template"); };
  HostedRun hosted(begun, base, wanted, workers);
  Feeder feeder;
  feeder.hosted = &hosted;
  hosted.observe(feeder);
  const RunResult result = run(hosted, workers);
  EXPECT_EQ(result.committed, 2);
  ASSERT_EQ(result.set_aside.size(), 6U);
  EXPECT_EQ(result.set_aside.front(), (SetAside{"e0", "no template"}));
}

struct Signaler : Observer {
  void waiting() override { raise(SIGTERM); }
};

TEST_F(HostedRunTest, ASignalEndsARunThatWaits) {
  RunInputs begun = inputs(file_of(2));
  ScriptedWorkers workers;
  HostedRunOptions wanted = options();
  wanted.run.waits = true;
  HostedRun hosted(begun, base, wanted, workers);
  Signaler signaler;
  hosted.observe(signaler);
  const RunResult result = run(hosted, workers);
  EXPECT_EQ(result.committed, 2);
  EXPECT_FALSE(result.stopped) << "nothing was left";
}

TEST_F(HostedRunTest, WhereTheMethodCannotRemoveAConflictWithACommittedEditIsRefused) {
  {
    RunInputs begun = inputs(file_of(2));
    ScriptedWorkers workers;
    HostedRun hosted(begun, base, options(), workers);
    run(hosted, workers);
  }
  io::EditsFile other = file_of(2);
  other.edits[1].target = "Grace";
  RunInputs resumed = RunInputs::open(folder_.path() / "run", true, other);
  HostedRunOptions wanted = options();
  wanted.can_remove = false;
  ScriptedWorkers workers;
  HostedRun hosted(resumed, base, wanted, workers);
  EXPECT_THAT(tests::message_of([&] { run(hosted, workers); }),
              HasSubstr("edits that contradict no committed one, with method memit"));
  EXPECT_THAT(texts(workers.commands()), ElementsAre("stop")) << "the workers are not left waiting";
}

TEST_F(HostedRunTest, KeepsAnIndexOfTheJournalWithItsCheckpointsAndWarnsOfADamagedOne) {
  HostedRunOptions wanted = options();
  wanted.run.checkpoint_every = 1;
  {
    RunInputs begun = inputs(file_of(4));
    ScriptedWorkers workers(keeping_checkpoints);
    HostedRun hosted(begun, base, wanted, workers);
    run(hosted, workers);
  }
  const auto index = folder_.path() / "run" / "checkpoint" / "journal.index";
  ASSERT_EQ(io::JournalIndex(index).size(), 3);
  for (const bool damaged : {false, true}) {
    if (damaged) std::filesystem::resize_file(index, std::filesystem::file_size(index) - 10);
    RunInputs resumed = RunInputs::open(folder_.path() / "run", true, file_of(4));
    ScriptedWorkers workers;
    HostedRun hosted(resumed, base, wanted, workers);
    Warnings warnings;
    hosted.observe(warnings);
    EXPECT_EQ(run(hosted, workers).committed, 0);
    ASSERT_EQ(warnings.texts.size(), damaged ? 1U : 0U);
    if (damaged) {
      EXPECT_EQ(warnings.texts[0],
                "the index of the journal, " + index.string() +
                    ", is not used: it is cut off or altered; segments from 2 on are read instead");
    }
  }
}

TEST_F(HostedRunTest, WithoutCheckpointsThereIsNoIndexEither) {
  RunInputs begun = inputs(file_of(4));
  ScriptedWorkers workers;
  HostedRun hosted(begun, base, options(), workers);
  run(hosted, workers);
  EXPECT_TRUE(std::filesystem::is_empty(begun.directory.checkpoint()));
}

TEST_F(HostedRunTest, AFailureOfTheWorkersEndsTheCoordinatorAndIsThrown) {
  RunInputs begun = inputs(file_of(2));
  ScriptedWorkers workers;
  HostedRunOptions wanted = options();
  wanted.run.waits = true;
  HostedRun hosted(begun, base, wanted, workers);
  const auto fail = [] { throw io::InternalError("3 rows, 4 columns"); };
  EXPECT_THROW(hosted.run(fail, [](const GraceIsOver&) {}), io::InternalError);
}

}  // namespace
}  // namespace anchorage::coordinator
