// Faults that may hit a run: a full disk, a read-only one, a clock that jumps, an error of one rank, a batch
// that outlasts the grace time after a signal. Kills are in kill_test, damaged files in journal_test.
#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <chrono>
#include <set>

#include "tests/process/small_run.hpp"
#include "tests/support/places.hpp"
#include "tests/support/small_disk.hpp"

namespace anchorage {
namespace {

using testing::HasSubstr;
using tests::Execution;
using tests::SmallDisk;
using tests::SmallRun;

class Faults : public testing::Test {
 protected:
  std::string weights_of(const std::string& run) const {
    const std::string out = "model-" + std::to_string(++exports_);
    EXPECT_EQ(runs.json("export '" + run + "' --out " + out)["out"], out);
    return tests::content_of(runs.folder.path() / out / "model.safetensors");
  }

  const SmallRun runs{6};

 private:
  mutable int exports_ = 0;
};

TEST_F(Faults, AFullDiskEndsARunBehindItsLastCommitAndWithRoomItGoesOnToTheSameBits) {
  const SmallDisk disk("200k");
  if (!disk.refusal().empty()) GTEST_SKIP() << disk.refusal();
  const std::string run = (disk.path() / "run").string();
  const Execution full = runs.program(runs.edit_arguments(run, "--checkpoint-every 0", "edits.jsonl", 1));
  EXPECT_EQ(full.exit_code, 1) << full.err;
  EXPECT_THAT(full.err, HasSubstr("No space left on device"));
  EXPECT_THAT(full.err, HasSubstr(run + "/journal/seg-"));
  const auto committed = runs.json("info " + run)["run"]["edits"]["committed"].get<int>();
  EXPECT_GT(committed, 0);
  EXPECT_LT(committed, 6);
  EXPECT_TRUE(runs.json("journal verify " + run)["sound"]);

  ASSERT_EQ(disk.remount("size=50m"), "");
  EXPECT_EQ(runs.json("edit --run " + run + " --resume")["edits"]["committed"], 6 - committed);
  ASSERT_EQ(runs.program(runs.edit_arguments("roomy", "", "edits.jsonl", 1)).exit_code, 0);
  EXPECT_TRUE(weights_of(run) == weights_of("roomy"));
}

TEST_F(Faults, ARunOnADiskThatCanOnlyBeReadIsReadAndNotChanged) {
  const SmallDisk disk("50m");
  if (!disk.refusal().empty()) GTEST_SKIP() << disk.refusal();
  const std::string run = (disk.path() / "run").string();
  ASSERT_EQ(runs.program(runs.edit_arguments(run, "--limit 4")).exit_code, 0);
  ASSERT_EQ(disk.remount("ro"), "");
  for (const std::string& change : {"edit --run " + run + " --resume", "remove " + run + " --edit e1",
                                    "rollback " + run + " --to-batch 1", runs.edit_arguments(run + "2")}) {
    const Execution refused = runs.program(change);
    EXPECT_EQ(refused.exit_code, 1) << change << "\n" << refused.err;
    EXPECT_THAT(refused.err, HasSubstr("Read-only file system"));
    EXPECT_THAT(refused.err, HasSubstr(run));
  }
  EXPECT_EQ(runs.json("info " + run)["run"]["edits"]["committed"], 4);
  EXPECT_TRUE(runs.json("journal verify " + run)["sound"]);
  EXPECT_FALSE(weights_of(run) == weights_of(run + "@0"));
}

TEST_F(Faults, AClockThatJumpsByYearsChangesNothingButTheTimesThatAreNoted) {
  ASSERT_EQ(runs.program(runs.edit_arguments("steady", "", "edits.jsonl", 1)).exit_code, 0);
  const std::string jumping = "ASAN_OPTIONS=verify_asan_link_order=0 " + tests::mpirun(2) +
                              "-x ASAN_OPTIONS -x LD_PRELOAD='" + tests::build_path() +
                              "/tests/libjumping_clock.so' '" + tests::program_path() + "' ";
  const std::string how = " --checkpoint-every 2 --deadline 60";
  const Execution part =
      runs.program.shell(jumping + runs.edit_arguments("run", "--limit 3" + how, "edits.jsonl", 1));
  ASSERT_EQ(part.exit_code, 0) << part.err;
  const Execution rest = runs.program.shell(jumping + "edit --run run --resume" + how);
  ASSERT_EQ(rest.exit_code, 0) << rest.err;

  std::set<std::string> days;
  const auto list = runs.json("journal list run");
  ASSERT_EQ(list["batches"].size(), 6U);
  for (const auto& batch : list["batches"]) days.insert(batch["utc"].get<std::string>().substr(0, 10));
  EXPECT_GT(days.size(), 1U) << "the clock did not jump";
  EXPECT_TRUE(runs.json("journal verify run")["sound"]);
  EXPECT_TRUE(weights_of("run") == weights_of("steady"));
}

// Rank 1 gets the name of another model, which does not exist.
TEST_F(Faults, AnErrorOfOneRankEndsTheJobWithOneMessageThatNamesIt) {
  const std::string rank = "-n 1 '" + tests::program_path() + "' edit ";
  const std::string rest = " --edits edits.jsonl --run run --hparams h.yaml --stats s.h5 --threads 1 ";
  const auto begun = std::chrono::steady_clock::now();
  const Execution ended = runs.program.shell(tests::mpirun("") + rank + "'" + tests::model + "'" + rest + ": " +
                                             rank + "nowhere" + rest);
  EXPECT_EQ(ended.exit_code, 2) << ended.err;
  EXPECT_THAT(ended.err, HasSubstr("error: rank 1: expected a Hugging Face model directory"));
  EXPECT_EQ(ended.err.find("error: "), ended.err.rfind("error: ")) << ended.err;
  EXPECT_LT(std::chrono::steady_clock::now() - begun, std::chrono::seconds(60)) << "the deadline is 120 s";
}

// On one rank and on two; the signal comes in the middle of a batch that would take hours.
TEST_F(Faults, ABatchThatOutlastsTheGraceTimeBehindASignalIsDropped) {
  const std::string endless =
      runs.edit_arguments("run", "--set eac_locate_steps=10000000 --set early_stop_loss=0 --grace 1");
  for (const auto& [launcher, signal] :
       {std::pair<std::string, std::string>{"", "TERM"}, {tests::mpirun(2), "USR1"}}) {
    const auto begun = std::chrono::steady_clock::now();
    const Execution dropped = runs.program.shell(
        "rm -rf run; { " + launcher + "'" + tests::program_path() + "' " + endless +
        " & for i in $(seq 3000); do test -e run/journal/seg-00000000.h5 && break; sleep 0.02; done; sleep 1; "
        "kill -" +
        signal + " $!; wait $!; }");
    EXPECT_EQ(dropped.exit_code, 75) << dropped.err;
    EXPECT_THAT(dropped.err, HasSubstr("not finished 1 s after the signal; --resume begins it again"));
    EXPECT_LT(std::chrono::steady_clock::now() - begun, std::chrono::seconds(60));
    EXPECT_EQ(runs.json("info run")["run"]["batches"], 0);
    EXPECT_THAT(runs.program("rollback run --to-batch 0").err, HasSubstr("which is the run's state already"))
        << "the lock is free, the diagnostic another";
  }
}

}  // namespace
}  // namespace anchorage
