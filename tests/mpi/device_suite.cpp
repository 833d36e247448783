#include "tests/mpi/device_suite.hpp"

#include <fmt/format.h>
#include <gtest/gtest.h>

#include "io/error.hpp"

namespace anchorage::sharding {
namespace {

constexpr torch::ScalarType dtypes[] = {torch::kFloat32, torch::kFloat64, torch::kBFloat16, torch::kFloat16,
                                        torch::kInt64,   torch::kInt32,   torch::kUInt8,    torch::kBool};

// Returns [rows, 3] of values that identify their rank.
torch::Tensor rows_of(int rank, std::int64_t rows, torch::ScalarType dtype, torch::Device device) {
  return (torch::arange(rows * 3, torch::kFloat64).reshape({rows, 3}) * 0.37 + rank).to(device, dtype);
}

void expect_equal(const torch::Tensor& found, const torch::Tensor& expected) {
  EXPECT_EQ(found.scalar_type(), expected.scalar_type());
  EXPECT_EQ(found.sizes(), expected.sizes());
  EXPECT_TRUE(torch::equal(found.cpu(), expected.cpu())) << found << "\nexpected\n" << expected;
}

class DeviceCollectives : public testing::TestWithParam<DeviceWorld> {
 protected:
  static void run(const std::function<void(DeviceCommunicator&)>& body, Seconds deadline = Seconds{60}) {
    GetParam().run(body, deadline);
  }
};

INSTANTIATE_TEST_SUITE_P(Worlds, DeviceCollectives, testing::ValuesIn(device_worlds_under_test()),
                         [](const auto& world) { return world.param.name; });

TEST_P(DeviceCollectives, BroadcastGivesEveryRankTheTensorOfAnyRootInEveryDtype) {
  run([](DeviceCommunicator& world) {
    for (const torch::ScalarType dtype : dtypes) {
      for (int root = 0; root < world.size(); ++root) {
        const torch::Tensor tensor = rows_of(world.rank(), 5, dtype, world.device());
        world.broadcast(tensor, root, "broadcast");
        expect_equal(tensor, rows_of(root, 5, dtype, world.device()));
      }
    }
  });
}

TEST_P(DeviceCollectives, AllGatherPutsRowsInRankOrderInEveryDtype) {
  run([](DeviceCommunicator& world) {
    for (const torch::ScalarType dtype : dtypes) {
      std::vector<torch::Tensor> expected;  // rank r has 2 r rows, so rank 0 has none
      for (int rank = 0; rank < world.size(); ++rank) {
        expected.push_back(rows_of(rank, 2 * rank, dtype, world.device()));
      }
      const torch::Tensor all =
          world.all_gather(rows_of(world.rank(), 2 * world.rank(), dtype, world.device()), "gather");
      expect_equal(all, torch::cat(expected));
    }
  });
}

TEST_P(DeviceCollectives, AllGatherOfNoRowsAtAllHasNoRows) {
  run([](DeviceCommunicator& world) {
    const torch::Tensor all = world.all_gather(rows_of(0, 0, torch::kFloat32, world.device()), "gather");
    EXPECT_EQ(all.sizes(), (std::vector<std::int64_t>{0, 3}));
  });
}

TEST_P(DeviceCollectives, AllGatherOfAnnouncedRowsIsThatOfOthers) {
  run([](DeviceCommunicator& world) {
    std::vector<std::int64_t> rows;
    for (int rank = 0; rank < world.size(); ++rank) rows.push_back(rank % 2 == 1 ? 0 : 3 + rank);
    const std::int64_t own = rows[static_cast<std::size_t>(world.rank())];
    const torch::Tensor mine = rows_of(world.rank(), own, torch::kFloat32, world.device());
    expect_equal(world.all_gather(mine, rows, "gather"), world.all_gather(mine, "gather"));
    ++rows[static_cast<std::size_t>(world.rank())];
    EXPECT_THROW((void)world.all_gather(mine, rows, "gather"), io::InternalError);
  });
}

TEST_P(DeviceCollectives, AllGatherTakesAViewThatIsNotContiguous) {
  run([](DeviceCommunicator& world) {
    const torch::Tensor all =
        world.all_gather(rows_of(world.rank(), 4, torch::kFloat32, world.device()).t(), "gather");
    EXPECT_EQ(all.size(0), 3 * world.size());
    expect_equal(all.narrow(0, 3 * world.rank(), 3), rows_of(world.rank(), 4, torch::kFloat32, world.device()).t());
  });
}

TEST_P(DeviceCollectives, SumOfIntegersIsExact) {
  run([](DeviceCommunicator& world) {
    const std::int64_t large = (std::int64_t{1} << 53) + 1;
    const torch::Tensor tensor = torch::tensor({large, -large, std::int64_t{world.rank()}}).to(world.device());
    world.all_reduce_sum(tensor, "sum");
    const std::int64_t ranks = world.size() * (world.size() - 1) / 2;
    expect_equal(tensor, torch::tensor({large * world.size(), -large * world.size(), ranks}));
  });
}

TEST_P(DeviceCollectives, TensorsGoRoundARingInEveryDtype) {
  run([](DeviceCommunicator& world) {
    if (world.size() == 1) GTEST_SKIP() << "a message needs two ranks";
    const int next = (world.rank() + 1) % world.size();
    const int previous = (world.rank() + world.size() - 1) % world.size();
    for (const torch::ScalarType dtype : dtypes) {
      const torch::Tensor mine = rows_of(world.rank(), 7, dtype, world.device());
      const torch::Tensor received = torch::empty_like(mine);
      if (world.rank() == 0) world.send(mine, next, "ring");
      world.receive(received, previous, "ring");
      if (world.rank() != 0) world.send(mine, next, "ring");
      expect_equal(received, rows_of(previous, 7, dtype, world.device()));
    }
  });
}

// Blocking messages would wait for each other here.
TEST_P(DeviceCollectives, PostedMessagesGoBothWaysAtOnceInTheirOrderAndOutliveTheirSendersTensors) {
  run([](DeviceCommunicator& world) {
    if (world.size() == 1) GTEST_SKIP() << "a message needs two ranks";
    const int next = (world.rank() + 1) % world.size();
    const int previous = (world.rank() + world.size() - 1) % world.size();
    constexpr std::int64_t messages = 3, rows = 400;  // longer than what MPI sends without being asked
    for (std::int64_t i = 0; i < messages; ++i) {
      world.post(rows_of(10 * world.rank() + static_cast<int>(i), rows + i, torch::kFloat32, world.device()), next,
                 "up");
      world.post(rows_of(100 + world.rank(), rows + i, torch::kInt64, world.device()), previous, "down");
    }
    for (std::int64_t i = 0; i < messages; ++i) {
      const auto up = rows_of(10 * previous + static_cast<int>(i), rows + i, torch::kFloat32, world.device());
      const auto down = rows_of(100 + next, rows + i, torch::kInt64, world.device());
      const auto from_previous = torch::empty_like(up), from_next = torch::empty_like(down);
      if (world.size() > 2) {
        world.receive_posted(from_next, next, "down");
        world.receive_posted(from_previous, previous, "up");
      } else {  // one way between two ranks: in the order of the posts
        world.receive_posted(from_previous, previous, "up");
        world.receive_posted(from_next, next, "down");
      }
      expect_equal(from_previous, up);
      expect_equal(from_next, down);
    }
    world.deliver_posts("deliver");
  });
}

TEST_P(DeviceCollectives, GatherOfDifferentDtypesIsAnInternalErrorOnEveryRank) {
  run([](DeviceCommunicator& world) {
    if (world.size() == 1) GTEST_SKIP() << "one rank agrees with itself";
    const torch::ScalarType dtype = world.rank() == 0 ? torch::kFloat32 : torch::kBFloat16;
    EXPECT_THROW((void)world.all_gather(rows_of(0, 2, dtype, world.device()), "gather"), io::InternalError);
  });
}

TEST_P(DeviceCollectives, TensorOnAnotherDeviceIsAnInternalError) {
  run([](DeviceCommunicator& world) {
    EXPECT_THROW(world.broadcast(torch::empty({2}, torch::kMeta), 0, "broadcast"), io::InternalError);
  });
}

TEST_P(DeviceCollectives, WritingIntoAViewThatIsNotContiguousIsAnInternalError) {
  run([](DeviceCommunicator& world) {
    const torch::Tensor view = rows_of(0, 4, torch::kFloat32, world.device()).t();
    EXPECT_THROW(world.broadcast(view, 0, "broadcast"), io::InternalError);
  });
}

TEST_P(DeviceCollectives, SumOfFloatsIsAnInternalErrorBecauseItsOrderWouldShow) {
  run([](DeviceCommunicator& world) {
    const torch::Tensor tensor = rows_of(0, 1, torch::kFloat32, world.device());
    EXPECT_THROW(world.all_reduce_sum(tensor, "sum"), io::InternalError);
  });
}

TEST_P(DeviceCollectives, TrafficIsCountedByTheOperationsName) {
  run([](DeviceCommunicator& world) {
    const torch::Tensor tensor = rows_of(0, 10, torch::kBFloat16, world.device());
    world.broadcast(tensor, 0, "updates");
    world.broadcast(tensor, 0, "updates");
    (void)world.all_gather(tensor, "keys");
    ASSERT_EQ(world.traffic().size(), 2U);
    EXPECT_EQ(world.traffic().at("updates").calls, 2);
    EXPECT_EQ(world.traffic().at("updates").bytes, 2 * 10 * 3 * 2);
    EXPECT_EQ(world.traffic().at("keys").bytes, world.size() * 10 * 3 * 2);
    if (world.size() == 1) return;
    const int last = world.size() - 1;
    if (world.rank() == 0) world.send(tensor, last, "states");
    if (world.rank() == last) world.receive(tensor, 0, "states");
    EXPECT_EQ(world.traffic().contains("states"), world.rank() == 0 || world.rank() == last);
    if (world.rank() == last) world.post(tensor, 0, "gradients");
    if (world.rank() == 0) world.receive_posted(tensor, last, "gradients");
    EXPECT_EQ(world.traffic().contains("gradients"), world.rank() == 0 || world.rank() == last);
    world.deliver_posts("updates");
    for (const auto& [operation, traffic] : world.traffic()) {
      EXPECT_GE(traffic.seconds, 0) << operation;
      EXPECT_GE(traffic.bytes, 10 * 3 * 2) << operation;
    }
  });
}

// The last rank stays away from `operation`; the others are told its name at the deadline.
void expect_deadline(const DeviceWorld& worlds,
                     const std::function<void(DeviceCommunicator&, const torch::Tensor& rows)>& operation) {
  const Seconds limit = worlds.short_deadline;
  worlds.run(
      [&](DeviceCommunicator& world) {
        if (world.size() == 1) GTEST_SKIP() << "nobody to wait for";
        if (world.rank() == world.size() - 1) return;
        const auto start = std::chrono::steady_clock::now();
        try {
          operation(world, rows_of(world.rank(), 5, torch::kFloat32, world.device()));
          ADD_FAILURE() << "no error on rank " << world.rank();
        } catch (const CollectiveError& error) {
          EXPECT_EQ(error.operation(), "gather keys");
          const auto text = fmt::format("'gather keys' to end within {:g} s", limit.count());
          EXPECT_NE(std::string(error.what()).find(text), std::string::npos) << error.what();
        }
        EXPECT_LT(Seconds(std::chrono::steady_clock::now() - start), limit + Seconds{5});
      },
      limit);
}

TEST_P(DeviceCollectives, BroadcastWithoutItsRootEndsAtTheDeadline) {
  expect_deadline(GetParam(), [](DeviceCommunicator& world, const torch::Tensor& rows) {
    world.broadcast(rows, world.size() - 1, "gather keys");
  });
}

TEST_P(DeviceCollectives, AllGatherWithoutOneRankEndsAtTheDeadline) {
  expect_deadline(GetParam(), [](DeviceCommunicator& world, const torch::Tensor& rows) {
    (void)world.all_gather(rows, "gather keys");
  });
}

TEST_P(DeviceCollectives, SumWithoutOneRankEndsAtTheDeadline) {
  expect_deadline(GetParam(), [](DeviceCommunicator& world, const torch::Tensor& rows) {
    world.all_reduce_sum(rows.to(torch::kInt64), "gather keys");
  });
}

TEST_P(DeviceCollectives, ReceiveWithoutASenderEndsAtTheDeadline) {
  expect_deadline(GetParam(), [](DeviceCommunicator& world, const torch::Tensor& rows) {
    world.receive(rows, world.size() - 1, "gather keys");
  });
}

TEST_P(DeviceCollectives, ReceiveOfWhatIsNotPostedEndsAtTheDeadline) {
  expect_deadline(GetParam(), [](DeviceCommunicator& world, const torch::Tensor& rows) {
    world.receive_posted(rows, world.size() - 1, "gather keys");
  });
}

TEST_P(DeviceCollectives, APostThatNobodyReceivesIsReportedAtTheDeadlineByItsName) {
  if (GetParam().name.find("pieces") != std::string::npos)
    GTEST_SKIP() << "MPI takes over such short messages, received or not";
  expect_deadline(GetParam(), [](DeviceCommunicator& world, const torch::Tensor& rows) {
    world.post(rows.repeat({5000, 1}), world.size() - 1, "gather keys");
    world.deliver_posts("gather keys");
  });
}

}  // namespace
}  // namespace anchorage::sharding
