// For rank_death_test: what tests/main.cpp makes of tests that fail, crash, are skipped or are not there.
#include <gtest/gtest.h>

#include <cstdlib>

namespace {

TEST(Probe, Passes) {}

TEST(Probe, Fails) {
  FAIL() << "on purpose";
}

TEST(Probe, Crashes) {
  std::abort();
}

TEST(Probe, IsSkipped) {
  GTEST_SKIP() << "because of\nthe weather";
}

class SkippedSuite : public testing::Test {
 protected:
  void SetUp() override { GTEST_SKIP() << "no such device"; }
};

TEST_F(SkippedSuite, IsSkipped) {}

}  // namespace
