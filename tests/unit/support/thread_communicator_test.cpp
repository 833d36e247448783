#include "tests/support/thread_communicator.hpp"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <atomic>

#include "io/error.hpp"

namespace anchorage::sharding {
namespace {

using testing::HasSubstr;

TEST(ThreadWorld, RanksInDifferingOperationsAreToldBothNames) {
  tests::run_thread_world(2, [](HostCommunicator& world) {
    try {
      world.barrier(world.rank() == 0 ? "gather keys" : "broadcast updates");
      ADD_FAILURE() << "no error";
    } catch (const io::InternalError& error) {
      EXPECT_THAT(error.what(), HasSubstr("gather keys"));
      EXPECT_THAT(error.what(), HasSubstr("broadcast updates"));
    }
  });
}

TEST(ThreadWorld, RanksThatNameDifferingLengthsAreToldBoth) {
  tests::run_thread_world(3, [](HostCommunicator& world) {
    HostCommunicator::Bytes bytes(world.rank() == 1 ? 7 : 8);
    EXPECT_THROW(world.broadcast_in_place(bytes, 0, "broadcast"), io::InternalError);
  });
}

TEST(ThreadWorld, DeadlineNamesTheRankThatStayedAway) {
  try {
    tests::run_thread_world(
        3,
        [](HostCommunicator& world) {
          if (world.rank() != 1) world.barrier("gather keys");
        },
        Seconds{0.2});
    FAIL() << "no error";
  } catch (const CollectiveError& error) {
    EXPECT_THAT(error.what(), HasSubstr("still waiting for rank 1 after"));
  }
}

TEST(ThreadWorld, ExceptionOfOneRankEndsTheOthersWaitsAtOnceAndIsThrown) {
  const auto start = std::chrono::steady_clock::now();
  std::atomic<int> told = 0;
  const auto body = [&](HostCommunicator& world) {
    const auto part = world.split(0, "split");
    if (world.rank() == 0) throw io::InternalError("3 rows, 4 columns");
    try {
      (world.rank() == 1 ? world : *part).barrier("wait");
    } catch (const CollectiveError& error) {
      EXPECT_THAT(error.what(), HasSubstr("rank 0 failed: 3 rows, 4 columns"));
      ++told;
    }
  };
  EXPECT_THROW(tests::run_thread_world(3, body), io::InternalError);
  EXPECT_EQ(told, 2);
  EXPECT_LT(Seconds(std::chrono::steady_clock::now() - start).count(), 10);
}

}  // namespace
}  // namespace anchorage::sharding
