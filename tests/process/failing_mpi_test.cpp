// For rank_death_test: what tests/mpi/main.cpp makes of tests that fail on one rank alone.
#include <gtest/gtest.h>

#include "tests/mpi/mpi_test.hpp"

namespace anchorage::sharding {
namespace {

TEST(Probe, Passes) {}

TEST(Probe, FailsOnRankOneAlone) {
  EXPECT_NE(mpi_session().rank(), 1) << "in the words of rank 1";
}

TEST(Probe, ThrowsOnRankOneWhileTheOthersWait) {
  run_mpi_world([](HostCommunicator& world) {
    if (world.rank() == 1) throw std::runtime_error("thrown on rank 1");
    world.barrier("wait for rank 1");
  });
}

TEST(Probe, IsSkipped) {
  GTEST_SKIP() << "because";
}

}  // namespace
}  // namespace anchorage::sharding
