#include "tests/mpi/host_suite.hpp"

#include <fmt/format.h>
#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <algorithm>
#include <limits>
#include <thread>

#include "io/error.hpp"

namespace anchorage::sharding {
namespace {

using std::chrono::milliseconds;
using testing::HasSubstr;
using Bytes = HostCommunicator::Bytes;

// Returns `length` bytes that identify their rank.
Bytes bytes_of(int rank, int length) {
  Bytes bytes;
  for (int i = 0; i < length; ++i) bytes.push_back(static_cast<std::byte>(rank * 37 + i));
  return bytes;
}

class HostCollectives : public testing::TestWithParam<HostWorld> {
 protected:
  static void run(const std::function<void(HostCommunicator&)>& body, Seconds deadline = Seconds{60}) {
    GetParam().run(body, deadline);
  }
};

INSTANTIATE_TEST_SUITE_P(Worlds, HostCollectives, testing::ValuesIn(host_worlds_under_test()),
                         [](const auto& world) { return world.param.name; });

TEST_P(HostCollectives, BroadcastGivesEveryRankTheBytesOfAnyRoot) {
  run([](HostCommunicator& world) {
    for (int root = 0; root < world.size(); ++root) {
      for (const int length : {0, 1, 1000}) {
        Bytes bytes = bytes_of(world.rank(), world.rank() == root ? length : 5);
        world.broadcast(bytes, root, "broadcast");
        EXPECT_EQ(bytes, bytes_of(root, length));
      }
    }
  });
}

TEST_P(HostCollectives, BroadcastInPlaceGivesEveryRankTheBytesOfAnyRoot) {
  run([](HostCommunicator& world) {
    for (int root = 0; root < world.size(); ++root) {
      Bytes bytes = bytes_of(world.rank(), 100);
      world.broadcast_in_place(bytes, root, "broadcast");
      EXPECT_EQ(bytes, bytes_of(root, 100));
    }
  });
}

TEST_P(HostCollectives, GatherGivesTheRootAloneWhatEachRankGaveInRankOrder) {
  run([](HostCommunicator& world) {
    for (int root = 0; root < world.size(); ++root) {
      const auto all = world.gather(bytes_of(world.rank(), 10 * world.rank()), root, "gather");
      if (world.rank() != root) {
        EXPECT_TRUE(all.empty());
        continue;
      }
      ASSERT_EQ(all.size(), static_cast<std::size_t>(world.size()));
      for (int rank = 0; rank < world.size(); ++rank) {
        EXPECT_EQ(all[static_cast<std::size_t>(rank)], bytes_of(rank, 10 * rank));
      }
    }
  });
}

TEST_P(HostCollectives, AllGatherGivesEveryRankWhatEachRankGaveInRankOrder) {
  run([](HostCommunicator& world) {
    const auto all = world.all_gather(bytes_of(world.rank(), 10 * world.rank()), "gather");
    ASSERT_EQ(all.size(), static_cast<std::size_t>(world.size()));
    for (int rank = 0; rank < world.size(); ++rank) {
      EXPECT_EQ(all[static_cast<std::size_t>(rank)], bytes_of(rank, 10 * rank));
    }
  });
}

TEST_P(HostCollectives, SumIsExactBeyondWhatADoubleHolds) {
  run([](HostCommunicator& world) {
    const std::int64_t large = (std::int64_t{1} << 53) + 1;
    std::vector<std::int64_t> values = {world.rank(), large, -world.rank(), 0};
    world.all_reduce_sum(values, "sum");
    const std::int64_t ranks = world.size() * (world.size() - 1) / 2;
    EXPECT_THAT(values, testing::ElementsAre(ranks, large * world.size(), -ranks, 0));
  });
}

TEST_P(HostCollectives, MessagesGoRoundARing) {
  run([](HostCommunicator& world) {
    if (world.size() == 1) GTEST_SKIP() << "a message needs two ranks";
    const int next = (world.rank() + 1) % world.size();
    const int previous = (world.rank() + world.size() - 1) % world.size();
    Bytes token = bytes_of(world.rank(), 50);
    if (world.rank() == 0) world.send(token, next, "ring");
    Bytes received(50);
    world.receive(received, previous, "ring");
    if (world.rank() != 0) world.send(token, next, "ring");
    EXPECT_EQ(received, bytes_of(previous, 50));
  });
}

TEST_P(HostCollectives, PostedMessagesGoRoundBothWaysAtOnceInTheirOrder) {
  run([](HostCommunicator& world) {
    if (world.size() == 1) GTEST_SKIP() << "a message needs two ranks";
    const int next = (world.rank() + 1) % world.size();
    const int previous = (world.rank() + world.size() - 1) % world.size();
    const auto post = [&](int number, int to) {
      const auto bytes = std::make_shared<const Bytes>(bytes_of(number, 6'000));
      world.post(*bytes, bytes, to, "post");
    };
    for (const int number : {0, 1, 2}) {
      post(10 * world.rank() + number, next);
      if (world.size() > 2) post(10 * world.rank() + number + 5, previous);
    }
    Bytes received(6'000);
    for (const int number : {0, 1, 2}) {
      world.receive(received, previous, "post");
      EXPECT_EQ(received, bytes_of(10 * previous + number, 6'000));
      if (world.size() == 2) continue;
      world.receive(received, next, "post");
      EXPECT_EQ(received, bytes_of(10 * next + number + 5, 6'000));
    }
    world.deliver_posts("deliver");
  });
}

TEST_P(HostCollectives, BarrierHoldsEveryRankUntilTheLastHasCome) {
  run([](HostCommunicator& world) {
    const auto now = [] { return std::chrono::steady_clock::now().time_since_epoch().count(); };  // one machine's
    if (world.rank() == world.size() - 1) std::this_thread::sleep_for(milliseconds{100});
    std::vector<std::int64_t> came(static_cast<std::size_t>(world.size()));
    came[static_cast<std::size_t>(world.rank())] = now();
    world.barrier("barrier");
    const std::int64_t left = now();
    world.all_reduce_sum(came, "compare");
    EXPECT_GE(left, *std::ranges::max_element(came));
  });
}

TEST_P(HostCollectives, PartsOfAWorldTalkAmongThemselvesInTheOrderOfTheirRanks) {
  run([](HostCommunicator& world) {
    for (int repeat = 0; repeat < 2; ++repeat) {
      const auto part = world.split(world.rank() % 2, "split");
      EXPECT_EQ(part->rank(), world.rank() / 2);
      EXPECT_EQ(part->size(), (world.size() + (world.rank() % 2 == 0 ? 1 : 0)) / 2);
      std::vector<std::int64_t> in_part = {world.rank()};
      std::vector<std::int64_t> in_world = {1};
      part->all_reduce_sum(in_part, "sum in the part");
      world.all_reduce_sum(in_world, "sum in the world");
      std::int64_t expected = 0;
      for (int rank = world.rank() % 2; rank < world.size(); rank += 2) expected += rank;
      EXPECT_EQ(in_part[0], expected);
      EXPECT_EQ(in_world[0], world.size());
    }
  });
}

TEST_P(HostCollectives, TrafficIsCountedByTheOperationsName) {
  run([](HostCommunicator& world) {
    Bytes bytes(100);
    for (int i = 0; i < 3; ++i) world.broadcast_in_place(bytes, 0, "updates");
    (void)world.all_gather(bytes, "keys");
    ASSERT_EQ(world.traffic().size(), 2U);
    EXPECT_EQ(world.traffic().at("updates").calls, 3);
    EXPECT_EQ(world.traffic().at("updates").bytes, 300);
    EXPECT_EQ(world.traffic().at("keys").bytes, 100 * world.size());
    EXPECT_GE(world.traffic().at("keys").seconds, 0);
    EXPECT_LT(world.traffic().at("keys").seconds, 30);
  });
}

TEST_P(HostCollectives, SecondsHoldTheWaitForASlowRank) {
  run([](HostCommunicator& world) {
    if (world.size() == 1) GTEST_SKIP() << "nobody to wait for";
    world.barrier("start");
    if (world.rank() == 0) std::this_thread::sleep_for(milliseconds{500});
    world.barrier("wait");
    if (world.rank() == 0) return;
    EXPECT_GE(world.traffic().at("wait").seconds, 0.15);
  });
}

TEST_P(HostCollectives, RankOutsideTheWorldIsAnInternalError) {
  run([](HostCommunicator& world) {
    Bytes bytes(1);
    EXPECT_THROW(world.broadcast(bytes, world.size(), "broadcast"), io::InternalError);
    EXPECT_THROW((void)world.gather(bytes, -1, "gather"), io::InternalError);
    EXPECT_THROW(world.send(bytes, world.rank(), "send"), io::InternalError);
  });
}

TEST_P(HostCollectives, WaitForTheStepsOfOthersLastsAsManyDeadlines) {
  run(
      [](HostCommunicator& world) {
        Bytes bytes(3);
        if (world.rank() == 0) std::this_thread::sleep_for(2 * world.deadline());
        world.broadcast(bytes, 0, "values", Timeout::steps(20));
        world.barrier("all have them", Timeout::steps(20));
        EXPECT_EQ(bytes.size(), 3U);
        if (world.rank() == 0) std::this_thread::sleep_for(2 * world.deadline());
        EXPECT_EQ(std::ssize(world.all_gather(bytes, "gather them", Timeout::steps(20))), world.size());
      },
      GetParam().short_deadline);
}

// The last rank stays away from `operation`; what the others get after so many deadlines.
void expect_deadline(HostCommunicator& world, const std::function<void()>& operation, int deadlines = 1) {
  if (world.size() == 1) GTEST_SKIP() << "nobody to wait for";
  if (world.rank() == world.size() - 1) return;
  const Seconds limit = deadlines * world.deadline();
  const auto start = std::chrono::steady_clock::now();
  try {
    operation();
    ADD_FAILURE() << "no error on rank " << world.rank();
  } catch (const CollectiveError& error) {
    EXPECT_EQ(error.operation(), "gather keys");
    EXPECT_THAT(error.what(), HasSubstr(fmt::format("'gather keys' to end within {:g} s", limit.count())));
    EXPECT_THAT(error.what(), HasSubstr("rank " + std::to_string(world.rank()) + " still waiting for"));
  }
  EXPECT_LT(Seconds(std::chrono::steady_clock::now() - start), limit + Seconds{5});
  EXPECT_THROW(world.barrier("later"), CollectiveError);  // at once
}

TEST_P(HostCollectives, BarrierWithoutOneRankEndsAtTheDeadline) {
  run([](HostCommunicator& world) { expect_deadline(world, [&] { world.barrier("gather keys"); }); },
      GetParam().short_deadline);
}

TEST_P(HostCollectives, BroadcastWithoutItsRootEndsAtTheDeadline) {
  run(
      [](HostCommunicator& world) {
        Bytes bytes(10);
        expect_deadline(world, [&] { world.broadcast(bytes, world.size() - 1, "gather keys"); });
      },
      GetParam().short_deadline);
}

TEST_P(HostCollectives, AllGatherWithoutOneRankEndsAtTheDeadline) {
  run(
      [](HostCommunicator& world) {
        expect_deadline(world, [&] { (void)world.all_gather(bytes_of(1, 10), "gather keys"); });
      },
      GetParam().short_deadline);
}

TEST_P(HostCollectives, GatherWithoutOneRankEndsAtTheDeadline) {
  run(
      [](HostCommunicator& world) {
        if (world.rank() > 0) return;  // those who give need not wait for the root
        expect_deadline(world, [&] { (void)world.gather(bytes_of(1, 10), 0, "gather keys"); });
      },
      GetParam().short_deadline);
}

TEST_P(HostCollectives, SumWithoutOneRankEndsAtTheDeadline) {
  run(
      [](HostCommunicator& world) {
        std::vector<std::int64_t> values(10);
        expect_deadline(world, [&] { world.all_reduce_sum(values, "gather keys"); });
      },
      GetParam().short_deadline);
}

TEST_P(HostCollectives, SplitWithoutOneRankEndsAtTheDeadline) {
  run([](HostCommunicator& world) { expect_deadline(world, [&] { (void)world.split(0, "gather keys"); }); },
      GetParam().short_deadline);
}

TEST_P(HostCollectives, WaitForTheStepsOfARankThatStaysAwayEndsAtTheLastOfTheirDeadlines) {
  run(
      [](HostCommunicator& world) {
        Bytes bytes(10);
        expect_deadline(
            world, [&] { world.broadcast(bytes, world.size() - 1, "gather keys", Timeout::steps(3)); }, 3);
      },
      GetParam().short_deadline);
}

TEST_P(HostCollectives, ReceiveWithoutASenderEndsAtTheDeadline) {
  run(
      [](HostCommunicator& world) {
        Bytes bytes(10);
        expect_deadline(world, [&] { world.receive(bytes, world.size() - 1, "gather keys"); });
      },
      GetParam().short_deadline);
}

TEST_P(HostCollectives, APostThatNobodyReceivesIsReportedAtTheDeadlineByItsName) {
  if (GetParam().name.find("pieces") != std::string::npos)
    GTEST_SKIP() << "MPI takes over such short messages, received or not";
  run(
      [](HostCommunicator& world) {
        expect_deadline(world, [&] {
          const auto bytes = std::make_shared<const Bytes>(100'000);
          world.post(*bytes, bytes, world.size() - 1, "gather keys");
          world.deliver_posts("gather keys");
        });
      },
      GetParam().short_deadline);
}

}  // namespace
}  // namespace anchorage::sharding
