#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "tests/mpi/mpi_test.hpp"

namespace anchorage::sharding {
namespace {

TEST(MpiSession, WorldHasTheSessionsRankAndSize) {
  run_mpi_world([](HostCommunicator& world) {
    EXPECT_EQ(world.rank(), mpi_session().rank());
    EXPECT_EQ(world.size(), mpi_session().size());
  });
}

TEST(MpiSession, ConditionIsAgreedOnlyWhereItHoldsOnEveryRank) {
  run_mpi_world([](HostCommunicator& world) {
    EXPECT_TRUE(agree(world, true));
    EXPECT_FALSE(agree(world, world.rank() != world.size() - 1));
    EXPECT_FALSE(agree(world, false));
  });
}

TEST(MpiSession, ErrorOfMpiCarriesTheCallItsTextRankAndPlace) {
  run_mpi_world([](HostCommunicator& world) {
    if (world.size() == 1) GTEST_SKIP() << "a message needs two ranks";
    HostCommunicator::Bytes bytes(100);
    if (world.rank() == 0) world.send(bytes, 1, "too long");
    if (world.rank() != 1) return;
    try {
      world.receive(std::span(bytes).first(10), 0, "too long");
      ADD_FAILURE() << "no error";
    } catch (const CollectiveError& error) {
      EXPECT_THAT(error.what(), testing::HasSubstr("expected 'too long' to succeed, found 'MPI_ERR_TRUNCATE"));
      EXPECT_THAT(error.what(), testing::HasSubstr("MPI_Test"));
      EXPECT_THAT(error.what(), testing::HasSubstr("rank 1"));
      EXPECT_THAT(error.what(), testing::HasSubstr("mpi_communicator.cpp:"));
    }
  });
}

}  // namespace
}  // namespace anchorage::sharding
