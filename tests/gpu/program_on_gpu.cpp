// The program on a GPU: what is repeated, and what is resumed, has the bits of what ran in one go.
#include <gmock/gmock.h>

#include "tests/process/program_test.hpp"

namespace anchorage {
namespace {

using testing::HasSubstr;
using tests::Execution;

class ProgramOnGpu : public tests::ProgramTest {
 protected:
  void SetUp() override {
    if (gpu.shell("nvidia-smi --list-gpus").out.empty()) GTEST_SKIP() << "nvidia-smi finds no GPU on this machine";
  }
  std::string edited(const std::string& run, const std::string& more = "") {
    const Execution execution = gpu(edit_arguments(run, "--device cuda " + more));
    EXPECT_EQ(execution.exit_code, 0) << execution.err;
    return run;
  }

  const tests::Program gpu{folder.path(), "0"};
};

TEST_F(ProgramOnGpu, RepeatedAndResumedRunsExportTheSameBytes) {
  for (const char* method : {"b-eac", "alphaedit"}) {
    const std::string named = std::string("--method ") + method;
    const std::string whole = exported(edited(std::string("whole-") + method, named));
    EXPECT_TRUE(exported(edited(std::string("again-") + method, named)) == whole) << method;
    const std::string parts = edited(std::string("parts-") + method, named + " --limit 2 --checkpoint-every 0");
    const Execution resumed = gpu("edit --run " + parts + " --resume");
    EXPECT_EQ(resumed.exit_code, 0) << resumed.err;
    EXPECT_TRUE(exported(parts) == whole) << method;
    EXPECT_EQ(gpu("journal verify " + parts).exit_code, 0) << method;
  }
}

TEST_F(ProgramOnGpu, ResumesBehindARemovalAndARollback) {
  edited("run", "--checkpoint-every 0 --limit 4");
  ASSERT_EQ(gpu("remove run --edit a").exit_code, 0);
  ASSERT_EQ(gpu("edit --run run --resume").exit_code, 0);
  ASSERT_EQ(gpu("rollback run --to-batch 1").exit_code, 0);
  EXPECT_EQ(gpu("edit --run run --resume").exit_code, 0);
}

TEST_F(ProgramOnGpu, TwoRanksOnOneGpuAreRefused) {
  const Execution refused = gpu(edit_arguments("run", "--device cuda"), 2);
  EXPECT_EQ(refused.exit_code, 2);
  EXPECT_THAT(refused.err, HasSubstr("a GPU for each rank"));
}

}  // namespace
}  // namespace anchorage
