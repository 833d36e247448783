#include "coordinator/plan_sweep.hpp"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "tests/unit/coordinator/planned_models.hpp"

namespace anchorage::coordinator {
namespace {

PlanRequest of_13b() {
  return request(llama2_13b(), {6, 7, 8, 9, 10}, 1, 40);
}

TEST(Sweep, HasARowForEveryNumberOfRanksAndSizeOfABatch) {
  const auto rows = sweep(of_13b(), std::vector{2, 8}, std::vector<std::int64_t>{72, 576});
  ASSERT_EQ(rows.size(), 4U);
  EXPECT_EQ(rows[1].ranks, 2);
  EXPECT_EQ(rows[1].batch, 576);
  for (const SweepRow& row : rows) {
    EXPECT_EQ(row.stages * row.replicas, row.ranks);
    EXPECT_EQ(row.refusal, "");
    EXPECT_LE(row.efficiency, 1.0);
    EXPECT_NEAR(row.rank_seconds_per_edit(), row.ranks * row.seconds_per_batch / static_cast<double>(row.batch),
                1e-9);
    EXPECT_LE(row.fullest_bytes, 40'000'000'000);
  }
}

TEST(Sweep, RowsAgreeWithPlans) {
  auto wanted = of_13b();
  const SweepRow row = sweep(wanted, std::vector{8}, std::vector<std::int64_t>{72}).front();
  wanted.ranks = 8;
  wanted.workload.batch = 72;
  EXPECT_EQ(row.seconds_per_batch, plan_ranks(wanted).seconds.total());
}

TEST(Sweep, RanksThatDoNotFitAreToldWhy) {
  auto wanted = of_13b();
  wanted.machine.memory_bytes = 10e9;
  const auto rows = sweep(wanted, std::vector{1, 8}, std::vector<std::int64_t>{72});
  EXPECT_THAT(rows[0].refusal, testing::HasSubstr("a rank for 1 stages x 1 replicas"));
  EXPECT_EQ(rows[1].refusal, "");
}

TEST(Night, TheSmallestMachineIsInTimeAndOneLessIsNot) {
  const Night night{.hours = 1, .edits = 100'000};
  const auto machine = smallest_machine(of_13b(), night, {});
  ASSERT_TRUE(machine.has_value());
  EXPECT_LE(seconds_of(*machine, night.edits), 3600);
  ASSERT_GT(machine->ranks, 2);
  const int less = machine->ranks <= 16 ? machine->ranks - 1 : machine->ranks - 8;
  const auto rows = sweep(of_13b(), std::vector{less}, std::vector{machine->batch});
  EXPECT_GT(seconds_of(rows.front(), night.edits), 3600);
}

TEST(Night, BatchesThatAreGivenAreTheOnlyOnesTried) {
  const auto machine = smallest_machine(of_13b(), {.hours = 1, .edits = 10'000}, std::vector<std::int64_t>{50});
  ASSERT_TRUE(machine.has_value());
  EXPECT_EQ(machine->batch, 50);
}

TEST(Night, MoreThanAllRanksCanDoIsNothing) {
  EXPECT_FALSE(smallest_machine(of_13b(), {.hours = 1e-6, .edits = 1'000'000}, std::vector<std::int64_t>{32}));
}

}  // namespace
}  // namespace anchorage::coordinator
