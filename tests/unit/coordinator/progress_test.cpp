#include "coordinator/progress.hpp"

#include <gmock/gmock.h>

#include <boost/asio/post.hpp>
#include <csignal>
#include <sstream>
#include <thread>

namespace anchorage::coordinator {
namespace {

using namespace std::chrono_literals;
using testing::EndsWith;
using testing::HasSubstr;
using testing::StartsWith;

const ProgressMeter::Clock::time_point start{};

TEST(ProgressMeter, KnowsNeitherSpeedNorTimeBeforeTheFirstBatch) {
  const ProgressMeter meter(320, start);
  EXPECT_EQ(meter.per_second(), std::nullopt);
  EXPECT_EQ(meter.time_left(start + 10s), std::nullopt);
  EXPECT_EQ(meter.line(start + 10s), "0 of 320 edits");
}

TEST(ProgressMeter, ReckonsWithTheMeanOverAllBatches) {
  ProgressMeter meter(320, start);
  meter.advance(32, start + 20s);
  meter.advance(32, start + 64s);
  EXPECT_DOUBLE_EQ(meter.per_second().value(), 1.0);
  EXPECT_EQ(meter.line(start + 64s), "64 of 320 edits, 1.00 edits/s, 4 min 16 s left");
}

TEST(ProgressMeter, TimeRunsDownBetweenBatchesAndNotBelowZero) {
  ProgressMeter meter(40, start);
  meter.advance(20, start + 20s);
  EXPECT_EQ(meter.time_left(start + 25s), 15s);
  EXPECT_EQ(meter.time_left(start + 90s), 0s);
}

TEST(ProgressMeter, SaysNothingOfTimeAtTheEnd) {
  ProgressMeter meter(40, start);
  meter.advance(40, start + 80s);
  EXPECT_EQ(meter.line(start + 80s), "40 of 40 edits, 0.50 edits/s");
}

TEST(ProgressMeter, TheBarFillsWithTheEdits) {
  ProgressMeter meter(40, start);
  EXPECT_THAT(meter.bar(start), StartsWith("[>                   ] 0 of 40"));
  meter.advance(10, start + 1s);
  EXPECT_THAT(meter.bar(start), StartsWith("[=====>              ] 10 of 40"));
  meter.advance(30, start + 2s);
  EXPECT_THAT(meter.bar(start), StartsWith("[====================] 40 of 40"));
}

TEST(ProgressMeter, WhatIsDoneAlreadyTakesNoTime) {
  ProgressMeter meter(4, start, "trials");
  meter.leave_out(1);
  meter.advance(1, start + 20s);
  EXPECT_EQ(meter.line(start + 20s), "1 of 3 trials, 0.05 trials/s, 40 s left");
}

TEST(DurationText, NamesTheTwoLargestUnits) {
  EXPECT_EQ(duration_text(45s), "45 s");
  EXPECT_EQ(duration_text(185s), "3 min 05 s");
  EXPECT_EQ(duration_text(2h + 7min + 59s), "2 h 07 min");
}

BatchReport report(std::int64_t edits) {
  BatchReport report;
  report.committed = edits;
  return report;
}

TEST(Progress, WritesAPlainLineAfterABatchAndSeldomWithoutOne) {
  boost::asio::io_context context;
  std::ostringstream out;
  constexpr auto interval = 10ms;
  Progress progress(context, out, Display::lines, interval);
  progress.editing(40, 2);
  progress.committed(report(20));
  context.run_for(interval * (Progress::intervals_of_silence - 2));
  EXPECT_LE(std::ranges::count(out.str(), '\n'), 2) << out.str();
  context.run_for(interval * 3 * Progress::intervals_of_silence);
  EXPECT_THAT(out.str(), StartsWith("40 edits to apply in 2 batches\n20 of 40 edits, "));
  EXPECT_THAT(out.str(), testing::Not(HasSubstr("\r")));
  EXPECT_GE(std::ranges::count(out.str(), '\n'), 3) << out.str();
  EXPECT_LE(std::ranges::count(out.str(), '\n'), 5) << out.str();
}

TEST(Progress, TellsWarningsAloneWhereItIsToBeQuiet) {
  boost::asio::io_context context;
  std::ostringstream out;
  Progress progress(context, out, Display::none, 5ms);
  progress.replaying(3);
  progress.editing(2, 1);
  BatchReport partly = report(1);
  partly.set_aside.push_back({"ceo-0042", "at an attention sink"});
  progress.committed(partly);
  context.run_for(50ms);
  RunResult result;
  result.batches = 1;
  progress.finished(result);
  EXPECT_EQ(out.str(), "warning: edit ceo-0042 set aside: at an attention sink\n");
}

TEST(Progress, KeepsTheContextRunningNoLongerThanTheRun) {
  boost::asio::io_context context;
  std::ostringstream out;
  Progress progress(context, out, Display::lines, 1h);
  progress.editing(40, 2);
  progress.committed(report(40));
  RunResult result;
  result.batches = 2;
  progress.finished(result);
  EXPECT_GT(context.run_for(10s), 0);  // the cancelled timer
  EXPECT_TRUE(context.stopped());
  EXPECT_THAT(out.str(), HasSubstr("\n40 of 40 edits"));
}

// A timer that has expired cannot be cancelled: its handler is already queued.
TEST(Progress, EndsWithTheRunWhenALineIsDueAtThatMoment) {
  boost::asio::io_context context;
  std::ostringstream out;
  Progress progress(context, out, Display::lines, 5ms);
  progress.editing(40, 2);
  boost::asio::post(context, [&] {
    std::this_thread::sleep_for(50ms);
    boost::asio::post(context, [&] { progress.finished(RunResult{}); });
  });
  context.run_for(2s);
  EXPECT_TRUE(context.stopped());
}

TEST(Progress, RedrawsTheBarInPlaceAndEndsItsLine) {
  boost::asio::io_context context;
  std::ostringstream out;
  {
    Progress progress(context, out, Display::bar);
    progress.editing(40, 2);
    progress.committed(report(20));
    progress.committed(report(20));
  }
  EXPECT_THAT(out.str(), HasSubstr("\r\x1b[K[==========>         ] 20 of 40"));
  EXPECT_THAT(out.str(), HasSubstr("\r\x1b[K[====================] 40 of 40"));
  EXPECT_EQ(std::ranges::count(out.str(), '\n'), 2);
  EXPECT_THAT(out.str(), EndsWith("\n"));
}

TEST(Progress, TellsWhatWasSetAsideOnItsOwnLineAndCountsItAsDone) {
  boost::asio::io_context context;
  std::ostringstream out;
  Progress progress(context, out, Display::bar);
  progress.editing(2, 1);
  BatchReport partly = report(1);
  partly.set_aside.push_back({"ceo-0042", "at an attention sink"});
  progress.committed(partly);
  EXPECT_THAT(out.str(), HasSubstr("warning: edit ceo-0042 set aside: at an attention sink\n"));
  EXPECT_THAT(out.str(), HasSubstr("2 of 2 edits"));
}

TEST(Progress, SaysThatTheBatchAtHandIsFinishedFirst) {
  boost::asio::io_context context;
  std::ostringstream out;
  Progress progress(context, out, Display::lines);
  progress.stopping(SIGTERM);
  progress.still_stopping(SIGTERM);
  EXPECT_EQ(out.str(),
            "Terminated: the current batch is finished and committed, then the run stops\n"
            "Terminated: already stopping, the current batch is still being finished\n");
}

}  // namespace
}  // namespace anchorage::coordinator
