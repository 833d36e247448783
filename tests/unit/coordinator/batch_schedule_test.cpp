#include "coordinator/batch_schedule.hpp"

#include <gtest/gtest.h>

#include <algorithm>
#include <set>

#include "coordinator/planner.hpp"
#include "tests/unit/coordinator/planned_models.hpp"

namespace anchorage::coordinator {
namespace {

PlanRequest of_two_stages() {
  auto wanted = request(llama2_13b(), {6, 7, 8, 9, 10}, 6, 80);
  wanted.stages = 2;
  wanted.workload.evaluations = 25;
  wanted.workload.locate_evaluations = 10;
  return wanted;
}

// Three replicas share eight groups of eight edits: two of them have three, one has two.
TEST(BatchSchedule, RanksWithMoreGroupsAreBusierAndNoneLongerThanTheBatch) {
  auto wanted = of_two_stages();
  wanted.workload.hparams.group = 8;
  const Plan plan = plan_ranks(wanted);
  EXPECT_LT(plan.ranks[0].busy[Activity::forward], plan.ranks[2].busy[Activity::forward]);
  EXPECT_DOUBLE_EQ(plan.ranks[2].busy[Activity::forward], plan.ranks[4].busy[Activity::forward]);
  for (const RankPlan& rank : plan.ranks) {
    EXPECT_GT(rank.busy.busy(), 0);
    EXPECT_LE(rank.busy.busy(), plan.seconds.total());
  }
}

TEST(BatchSchedule, BoxesOfARankDoNotOverlapAndAddUpToWhatItIsBusyWith) {
  const auto wanted = of_two_stages();
  const Plan plan = plan_ranks(wanted);
  std::vector<double> end(6);
  std::vector<ActivitySeconds> sums(6);
  for (const RankBox& box : trace_of(plan, wanted)) {
    const auto rank = static_cast<std::size_t>(box.rank);
    EXPECT_GE(box.start, end[rank] - 1e-9);
    EXPECT_GT(box.duration, 0);
    end[rank] = box.start + box.duration;
    sums[rank][box.activity] += box.duration;
  }
  for (std::size_t rank = 0; rank < 6; ++rank) {
    for (std::size_t i = 0; i < activity_names.size(); ++i) {
      const auto activity = static_cast<Activity>(i);
      EXPECT_NEAR(sums[rank][activity], plan.ranks[rank].busy[activity], 1e-6) << activity_names[i];
    }
  }
  EXPECT_NEAR(std::ranges::max(end), plan.seconds.total(), 1e-6);
}

TEST(BatchSchedule, EveryActivityIsThereWhereLayersAreWrittenJointly) {
  const auto wanted = of_two_stages();
  std::set<Activity> seen;
  for (const RankBox& box : trace_of(plan_ranks(wanted), wanted)) seen.insert(box.activity);
  EXPECT_EQ(seen.size(), activity_names.size());
}

TEST(BatchSchedule, OneRankIsBusyAllTheTime) {
  const Plan plan = plan_ranks(request(llama2_13b(), {6, 7, 8}, 1, 80));
  EXPECT_NEAR(plan.ranks[0].busy.busy(), plan.seconds.total(), 1e-9 * plan.seconds.total());
  EXPECT_EQ(plan.seconds.communicate, 0);
}

// MEMIT's layers are solved one after another; B-EAC's at the same time, but for the sweeps.
TEST(BatchSchedule, SweepsTakeTheLayersInTurn) {
  auto wanted = request(llama2_13b(), {6, 7, 8, 9, 10}, 1, 200);
  const auto seconds = [&](bool joint, int sweeps) {
    wanted.workload.joint = joint;
    wanted.workload.hparams.correction_sweeps = sweeps;
    return plan_ranks(wanted).seconds;
  };
  const double at_once = seconds(true, 0).solve, one_sweep = seconds(true, 1).solve;
  EXPECT_NEAR(seconds(true, 2).solve - one_sweep, one_sweep - at_once, 1e-9);
  EXPECT_NEAR(seconds(false, 0).solve, at_once, 1e-9);
  EXPECT_GT(seconds(true, 1).values, seconds(true, 0).values);
}

TEST(BatchSchedule, AModelThatIsOnlyRunIsOnlyScored) {
  const Plan plan = plan_ranks(request(llama2_13b(), {}, 1, 80));
  EXPECT_GT(plan.seconds.evaluate, 0);
  EXPECT_EQ(plan.seconds.total(), plan.seconds.evaluate);
}

}  // namespace
}  // namespace anchorage::coordinator
