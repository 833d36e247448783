#include "io/child_process.hpp"

#include <fcntl.h>
#include <fmt/format.h>
#include <gtest/gtest.h>
#include <unistd.h>

#include <chrono>
#include <cstdlib>
#include <fstream>
#include <thread>

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

TEST(ChildProcess, CanBeKilledByAnotherThread) {
  ChildProcess child({"/bin/sleep", "600"}, "");
  const std::jthread killer([&] { child.kill(); });
  EXPECT_EQ(child.wait().exit_code, 128 + 9);
  child.kill();  // nothing is left to kill
}

TEST(ChildProcess, IsKilledByWhoeverForgetsIt) {
  const auto begin = std::chrono::steady_clock::now();
  { const ChildProcess child({"/bin/sleep", "600"}, ""); }
  EXPECT_LT(std::chrono::steady_clock::now() - begin, std::chrono::seconds(60));
}

TEST(ChildProcess, InheritsNoVariableThatIsLeftOut) {
  setenv("LEFT_OUT_OF_A_TEST", "here", 1);
  const std::vector<std::string> say{"/bin/sh", "-c", "echo \"${LEFT_OUT_OF_A_TEST-none} $PATH\""};
  const std::string path = std::getenv("PATH");
  EXPECT_EQ(ChildProcess(say, "").wait().out, "here " + path + "\n");
  EXPECT_EQ(ChildProcess(say, "", {.left_out = {"OTHER_", "LEFT_OUT_"}}).wait().out, "none " + path + "\n");
}

TEST(ChildProcess, InheritsNoFileThatIsOpenHere) {
  const int open_here = ::open("/dev/null", O_RDONLY);
  ASSERT_GT(open_here, STDERR_FILENO);
  const std::string look = fmt::format("[ -e /proc/self/fd/{} ] && echo open || echo closed", open_here);
  EXPECT_EQ(run_child({"/bin/sh", "-c", look}, "").out, "closed\n");
  ::close(open_here);
}

TEST(ChildProcess, OfAGroupOfItsOwnIsKilledWithWhatItHasStarted) {
  ChildProcess child({"/bin/sh", "-c", "sleep 600 & echo $!; wait"}, "", {.own_group = true});
  std::this_thread::sleep_for(std::chrono::milliseconds(300));
  child.kill();
  const pid_t started = std::stoi(child.wait().out);
  const auto end = std::chrono::steady_clock::now() + std::chrono::seconds(60);
  const auto is_there = [&] {  // it may stay as a zombie where nobody waits for it
    std::string text;
    std::getline(std::ifstream(fmt::format("/proc/{}/stat", started)), text);
    return !text.empty() && text.find(") Z ") == std::string::npos;
  };
  while (is_there() && std::chrono::steady_clock::now() < end)
    std::this_thread::sleep_for(std::chrono::milliseconds(10));
  EXPECT_FALSE(is_there());
}

TEST(ChildProcess, AProgramThatIsNotThereIsNamed) {
  EXPECT_THROW(run_child({"/no/such/program"}, ""), SystemError);
}

}  // namespace
}  // namespace anchorage::io
