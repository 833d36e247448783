#include "sharding/collective/watchdog.hpp"

#include <gtest/gtest.h>

namespace anchorage::sharding {
namespace {

using std::chrono::milliseconds;

class WatchdogDeathTest : public testing::Test {
 protected:
  void SetUp() override { testing::FLAGS_gtest_death_test_style = "threadsafe"; }
};

TEST_F(WatchdogDeathTest, ACallThatDoesNotComeBackEndsTheProcessWithTheOperationsName) {
  const auto wait = [] {
    const Deadline deadline("form stages", 3, Seconds{0.05});
    const Watchdog watchdog(deadline, "the other ranks");
    std::this_thread::sleep_for(std::chrono::seconds{20});
  };
  EXPECT_EXIT(wait(), testing::ExitedWithCode(1),
              "error: expected 'form stages' to end within 0.05 s, found rank 3 still waiting for the other ranks");
}

TEST(Watchdog, ACallThatComesBackInTimeIsLeftAlone) {
  {
    const Deadline deadline("form stages", 3, Seconds{0.2});
    const Watchdog watchdog(deadline, "the other ranks");
  }
  std::this_thread::sleep_for(milliseconds{400});
}

}  // namespace
}  // namespace anchorage::sharding
