// Signals and the grace time of a run.
#include <gmock/gmock.h>

#include <csignal>
#include <future>

#include "tests/unit/coordinator/stored_run.hpp"

namespace anchorage::coordinator {
namespace {

using sharding::ApplyBatch;
using sharding::ReplaySegment;
using testing::ElementsAre;

// Lets a worker's script wait until the run has seen a signal.
struct SignalObserver : Observer {
  void stopping(int signal) override { first.set_value(signal); }
  void still_stopping(int signal) override { second.set_value(signal); }

  std::promise<int> first, second;
};

// A SIGTERM arrives while a command of this kind is carried out, and the run has seen it before the reply.
template <class Kind>
sharding::Reply answer_with_signal(const sharding::Command& command, SignalObserver& observer) {
  if (std::holds_alternative<Kind>(command)) {
    raise(SIGTERM);
    observer.first.get_future().wait();
  }
  return ScriptedWorkers::answer(command);
}

class EditRunSignalTest : public EditRunTest, public testing::WithParamInterface<int> {};

TEST_P(EditRunSignalTest, ASignalEndsTheRunBehindTheBatchAtHand) {
  StoredRun run(folder_.path() / "run");
  SignalObserver observer;
  ScriptedWorkers workers([&](const sharding::Command& command) {
    if (texts({command}) == std::vector<std::string>{"e2 e3"}) {
      raise(GetParam());
      EXPECT_EQ(observer.first.get_future().get(), GetParam());
    }
    return ScriptedWorkers::answer(command);
  });
  const RunResult result = run.edit(file_of(8), workers, observer);
  EXPECT_THAT(texts(workers.commands()), ElementsAre("e0 e1", "e2 e3", "stop"));
  EXPECT_TRUE(result.stopped);
  EXPECT_EQ(result.batches, 2);
  run.reopen();
  EXPECT_EQ(run.journal().last().header.batch, 2);
}

INSTANTIATE_TEST_SUITE_P(Signals, EditRunSignalTest, testing::Values(SIGINT, SIGTERM, SIGUSR1));

TEST_F(EditRunTest, ASecondSignalInTheSameBatchIsAnsweredAndChangesNothing) {
  StoredRun run(folder_.path() / "run");
  SignalObserver observer;
  ScriptedWorkers workers([&](const sharding::Command& command) {
    if (texts({command}) == std::vector<std::string>{"e0 e1"}) {
      raise(SIGUSR1);
      EXPECT_EQ(observer.first.get_future().get(), SIGUSR1);
      raise(SIGTERM);
      EXPECT_EQ(observer.second.get_future().get(), SIGTERM);
    }
    return ScriptedWorkers::answer(command);
  });
  EXPECT_TRUE(run.edit(file_of(8), workers, observer).stopped);
  EXPECT_THAT(texts(workers.commands()), ElementsAre("e0 e1", "stop"));
}

TEST_F(EditRunTest, ABatchThatIsNotFinishedInTheGraceTimeIsDropped) {
  StoredRun run(folder_.path() / "run");
  std::promise<void> released;
  const std::shared_future<void> release = released.get_future().share();
  SilentObserver observer;
  boost::asio::io_context context;
  ScriptedWorkers workers([&](const sharding::Command& command) {
    if (texts({command}) == std::vector<std::string>{"e2 e3"}) {
      raise(SIGTERM);
      release.wait();
    }
    return ScriptedWorkers::answer(command);
  });
  {
    EditRun edits(context, workers, run.directory(), run.journal(), Queue(file_of(8), {}, {2}), {}, observer,
                  {.grace = std::chrono::milliseconds(100)});
    edits.start();
    EXPECT_THROW(context.run(), GraceIsOver);
  }
  EXPECT_EQ(run.journal().last().header.batch, 1);
  released.set_value();  // the reply comes after the run's end
}

TEST_F(EditRunTest, ABatchThatIsFinishedInTheGraceTimeIsCommitted) {
  StoredRun run(folder_.path() / "run");
  SignalObserver observer;
  ScriptedWorkers workers([&](const sharding::Command& command) {
    if (texts({command}) == std::vector<std::string>{"e0 e1"}) {
      raise(SIGTERM);
      observer.first.get_future().wait();
    }
    return ScriptedWorkers::answer(command);
  });
  EXPECT_TRUE(run.edit(file_of(8), workers, observer, {2}, {.grace = std::chrono::hours(1)}).stopped);
  EXPECT_EQ(run.journal().last().header.batch, 1);
}

TEST_F(EditRunTest, ASignalInTheLastBatchStopsNothing) {
  StoredRun run(folder_.path() / "run");
  SignalObserver observer;
  ScriptedWorkers workers(
      [&](const sharding::Command& command) { return answer_with_signal<ApplyBatch>(command, observer); });
  const RunResult result = run.edit(file_of(2), workers, observer);
  EXPECT_FALSE(result.stopped);
  EXPECT_EQ(result.committed, 2);
}

TEST_F(EditRunTest, ASignalDuringTheReplayEndsTheRunBeforeItsFirstBatch) {
  StoredRun run(folder_.path() / "run");
  {
    ScriptedWorkers workers;
    run.edit(file_of(4), workers);
  }
  SignalObserver observer;
  ScriptedWorkers workers(
      [&](const sharding::Command& command) { return answer_with_signal<ReplaySegment>(command, observer); });
  const RunResult result = run.edit(file_of(6), workers, observer);
  EXPECT_THAT(texts(workers.commands()), ElementsAre("seg-00000001.h5", "stop"));
  EXPECT_TRUE(result.stopped);
  EXPECT_EQ(result.batches, 0);
}

}  // namespace
}  // namespace anchorage::coordinator
