// A rank that ends badly takes the whole job down, soon, with an exit code that says so.
#include <gmock/gmock.h>
#include <gtest/gtest.h>
#include <sys/wait.h>

#include <array>
#include <chrono>
#include <cstdio>
#include <string>

#include "tests/support/places.hpp"

namespace {

using testing::AllOf;
using testing::HasSubstr;
using testing::Not;

struct Ended {
  int exit_code = -1;
  double seconds = 0;
  std::string output;  // stdout and stderr

  [[nodiscard]] int count(const std::string& text) const {
    int found = 0;
    for (auto at = output.find(text); at != std::string::npos; at = output.find(text, at + 1)) ++found;
    return found;
  }
};

Ended run(const std::string& command) {
  const auto start = std::chrono::steady_clock::now();
  Ended ended;
  FILE* pipe = popen((command + " 2>&1").c_str(), "r");
  if (pipe == nullptr) return ended;
  std::array<char, 4096> part{};
  while (const std::size_t count = fread(part.data(), 1, part.size(), pipe))
    ended.output.append(part.data(), count);
  const int status = pclose(pipe);
  if (WIFEXITED(status)) ended.exit_code = WEXITSTATUS(status);
  ended.seconds = std::chrono::duration<double>(std::chrono::steady_clock::now() - start).count();
  return ended;
}

std::string mpirun(int ranks) {
  return "OMPI_ALLOW_RUN_AS_ROOT=1 OMPI_ALLOW_RUN_AS_ROOT_CONFIRM=1 env --ignore-signal=PIPE " ANCHORAGE_MPIEXEC
         " -n " +
         std::to_string(ranks) + " --bind-to none --oversubscribe ";
}

const std::string failing_tests = anchorage::tests::build_path() + "/failing_tests --gtest_color=no";
const std::string failing_mpi_test = anchorage::tests::build_path() + "/failing_mpi_test --gtest_color=no";

// The communicators' own deadline is 120 s.
constexpr double soon = 30;

TEST(RankDeath, RankThatThrowsEndsTheJobWithItsExitCodeAndOneMessage) {
  const Ended ended = run(mpirun(3) + anchorage::tests::build_path() + "/failing_rank throws");
  EXPECT_EQ(ended.exit_code, 2) << ended.output;
  EXPECT_EQ(ended.count("error: the last rank fails"), 1) << ended.output;
  EXPECT_EQ(ended.count("error: "), 1) << ended.output;
  EXPECT_LT(ended.seconds, soon);
}

TEST(RankDeath, ExceptionThatLeavesTheSessionEndsTheJob) {
  const Ended ended = run(mpirun(3) + anchorage::tests::build_path() + "/failing_rank 'leaves the session'");
  EXPECT_EQ(ended.exit_code, 1) << ended.output;
  EXPECT_EQ(ended.count("rank 2 is left by an exception: ending the job"), 1) << ended.output;
  EXPECT_LT(ended.seconds, soon);
}

TEST(RankDeath, RankThatCrashesEndsTheJob) {
  const Ended ended = run(mpirun(3) + anchorage::tests::build_path() + "/failing_rank crashes");
  EXPECT_NE(ended.exit_code, 0) << ended.output;
  EXPECT_LT(ended.seconds, soon);
}

TEST(RankDeath, JobWithoutAFailureExitsWithZero) {
  const Ended ended = run(mpirun(3) + anchorage::tests::build_path() + "/failing_rank never");
  EXPECT_EQ(ended.exit_code, 0) << ended.output;
  EXPECT_EQ(ended.output, "");
}

TEST(RankDeath, WithoutMpirunOneRankExitsWithItsCodeAndItsMessageAlone) {
  const Ended ended = run(anchorage::tests::build_path() + "/failing_rank throws");
  EXPECT_EQ(ended.exit_code, 2);
  EXPECT_EQ(ended.output, "error: the last rank fails\n");
}

TEST(TestMain, RunThatPassesExitsWithZeroAndListsWhatWasSkippedWithTheReason) {
  const Ended ended = run(failing_tests + " --gtest_filter=Probe.Passes:*IsSkipped");
  EXPECT_EQ(ended.exit_code, 0) << ended.output;
  EXPECT_THAT(ended.output, AllOf(HasSubstr("\nskipped: Probe.IsSkipped: because of the weather\n"),
                                  HasSubstr("\nskipped: SkippedSuite.IsSkipped: no such device\n")));
  EXPECT_EQ(ended.count("skipped: Probe.Passes"), 0) << ended.output;
}

TEST(TestMain, RunOfSkippedTestsAloneTellsCTestSoWithTheReason) {
  const Ended ended = run(failing_tests + " --gtest_filter=Probe.IsSkipped");
  EXPECT_EQ(ended.exit_code, 77) << ended.output;
  EXPECT_EQ(ended.count("skipped: "), 1) << ended.output;
}

TEST(TestMain, RunWithAFailureExitsWithOneWhateverElseWasSkipped) {
  const Ended ended = run(failing_tests + " --gtest_filter=Probe.Fails:Probe.IsSkipped");
  EXPECT_EQ(ended.exit_code, 1) << ended.output;
  EXPECT_THAT(ended.output, AllOf(HasSubstr("[  FAILED  ] Probe.Fails"), HasSubstr("skipped: Probe.IsSkipped")));
}

TEST(TestMain, CrashOfATestEndsTheRunWithTheTestsNameLast) {
  const Ended ended = run(failing_tests + " --gtest_filter=Probe.Passes:Probe.Crashes:Probe.IsSkipped");
  EXPECT_NE(ended.exit_code, 0) << ended.output;
  const auto last = ended.output.rfind("[ RUN      ]");
  ASSERT_NE(last, std::string::npos) << ended.output;
  EXPECT_THAT(ended.output.substr(last), HasSubstr("[ RUN      ] Probe.Crashes"));
}

TEST(TestMain, RunWithoutATestFailsAndSoDoesAShardWithoutOne) {
  EXPECT_EQ(run(failing_tests + " --gtest_filter=None.*").exit_code, 1);
  const std::string shards = "GTEST_TOTAL_SHARDS=2 GTEST_SHARD_INDEX=";
  const std::string one = failing_tests + " --gtest_filter=Probe.Passes";
  EXPECT_EQ(run(shards + "0 " + one).exit_code, 0);
  EXPECT_EQ(run(shards + "1 " + one).exit_code, 1);
}

TEST(MpiTestMain, FailureOfOneRankIsPrintedByRankZeroAndFailsTheRun) {
  const Ended ended = run(mpirun(2) + failing_mpi_test + " --gtest_filter=Probe.Fails*");
  EXPECT_EQ(ended.exit_code, 1) << ended.output;
  EXPECT_THAT(ended.output,
              AllOf(HasSubstr("rank 1: "), HasSubstr("in the words of rank 1"),
                    HasSubstr("[  FAILED  ] Probe.FailsOnRankOneAlone"), Not(HasSubstr("[       OK ]"))));
}

TEST(MpiTestMain, ExceptionOfOneRankEndsTheRunWithTheTestsName) {
  const Ended ended = run(mpirun(2) + failing_mpi_test + " --gtest_filter=Probe.Throws*");
  EXPECT_EQ(ended.exit_code, 1) << ended.output;
  EXPECT_THAT(ended.output, HasSubstr("rank 1 in Probe.ThrowsOnRankOneWhileTheOthersWait: thrown on rank 1"));
  EXPECT_LT(ended.seconds, soon);
}

TEST(MpiTestMain, RunWithoutATestFails) {
  EXPECT_EQ(run(mpirun(2) + failing_mpi_test + " --gtest_filter=None.*").exit_code, 1);
}

TEST(MpiTestMain, RunOfSkippedTestsAloneTellsCTestSoAndTheReasonOnce) {
  const Ended ended = run(mpirun(2) + failing_mpi_test + " --gtest_filter=Probe.IsSkipped");
  EXPECT_EQ(ended.exit_code, 77) << ended.output;
  EXPECT_EQ(ended.count("skipped: Probe.IsSkipped: because"), 1) << ended.output;
}

TEST(MpiTestMain, RunThatPassesExitsWithZero) {
  EXPECT_EQ(run(mpirun(2) + failing_mpi_test + " --gtest_filter=Probe.Passes:Probe.IsSkipped").exit_code, 0);
}

}  // namespace
