#include "coordinator/machine.hpp"

#include <gtest/gtest.h>

namespace anchorage::coordinator {
namespace {

TEST(Machine, WithoutMeasurementsIsAsFastInEveryPass) {
  Machine machine;
  machine.flops = 5;
  EXPECT_EQ(machine.flops_of_pass(1), 5);
  EXPECT_EQ(machine.flops_of_pass(100'000), 5);
}

TEST(Machine, BetweenTwoMeasuredPassesItsSpeedFollowsTheLogarithmOfTokens) {
  Machine machine;
  machine.flops_by_tokens = {{16, 100.0}, {64, 300.0}, {1024, 400.0}};
  EXPECT_EQ(machine.flops_of_pass(1), 100);
  EXPECT_EQ(machine.flops_of_pass(16), 100);
  EXPECT_DOUBLE_EQ(machine.flops_of_pass(32), 200);
  EXPECT_EQ(machine.flops_of_pass(64), 300);
  EXPECT_DOUBLE_EQ(machine.flops_of_pass(256), 350);
  EXPECT_EQ(machine.flops_of_pass(4096), 400);
}

}  // namespace
}  // namespace anchorage::coordinator
