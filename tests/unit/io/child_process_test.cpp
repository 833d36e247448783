#include "io/child_process.hpp"

#include <gtest/gtest.h>

#include "io/error.hpp"

namespace anchorage::io {
namespace {

TEST(ChildProcess, GetsItsInputAndGivesBackOutputErrorsAndExitCode) {
  const ChildResult result = run_child({"/bin/sh", "-c", "cat; echo \"$0\" >&2; exit 3", "it's $HOME"}, "input");
  EXPECT_EQ(result.exit_code, 3);
  EXPECT_EQ(result.out, "input");
  EXPECT_EQ(result.err, "it's $HOME\n");
}

TEST(ChildProcess, PassesMoreThanAPipeHolds) {
  const std::string megabytes(3 << 20, 'x');
  EXPECT_EQ(run_child({"/bin/cat"}, megabytes).out, megabytes);
}

TEST(ChildProcess, ASignalIsItsNumberAbove128) {
  EXPECT_EQ(run_child({"/bin/sh", "-c", "kill -TERM $$"}, "").exit_code, 128 + 15);
}

TEST(ChildProcess, AProgramThatIsNotThereIsNamed) {
  EXPECT_THROW(run_child({"/no/such/program"}, ""), SystemError);
}

}  // namespace
}  // namespace anchorage::io
