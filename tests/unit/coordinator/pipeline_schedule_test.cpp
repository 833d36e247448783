// Schedules that can be worked out by hand.
#include "coordinator/pipeline_schedule.hpp"

#include <gtest/gtest.h>

#include <algorithm>
#include <map>

#include "io/error.hpp"

namespace anchorage::coordinator {
namespace {

StepPipeline even_stages(int stages, std::int64_t groups, std::int64_t in_flight, std::int64_t evaluations) {
  return {.stages = std::vector<StepSeconds>(static_cast<std::size_t>(stages), {.forward = 1, .backward = 1}),
          .groups = groups,
          .in_flight = in_flight,
          .evaluations = evaluations};
}

double sum_of_one_stage(const StepPipeline& pipeline, std::size_t stage) {
  const StepSeconds& one = pipeline.stages[stage];
  return static_cast<double>(pipeline.groups) *
         (one.setup + static_cast<double>(pipeline.evaluations) * (one.forward + one.backward));
}

TEST(PipelineSchedule, OneStageTakesTheSumOfItsWork) {
  const StepPipeline pipeline{.stages = {{.setup = 5, .forward = 2, .backward = 3}},
                              .hop = 9,
                              .groups = 4,
                              .in_flight = 1,
                              .evaluations = 7};
  const Timeline timeline = run_steps(pipeline);
  EXPECT_DOUBLE_EQ(timeline.makespan, 4 * (5 + 7 * (2 + 3)));
  EXPECT_DOUBLE_EQ(timeline.busy[0].busy(), timeline.makespan);
}

// One forward pass until the second stage has work, one backward pass after its last.
TEST(PipelineSchedule, TwoEvenStagesWithThreeGroupsInFlightWaitOnlyWhileThePipelineFillsAndDrains) {
  for (const std::int64_t evaluations : {1, 2, 20}) {
    const StepPipeline pipeline = even_stages(2, 3, 3, evaluations);
    EXPECT_DOUBLE_EQ(run_steps(pipeline).makespan, sum_of_one_stage(pipeline, 0) + 2);
  }
}

TEST(PipelineSchedule, EvenStagesWithOneGroupEachWaitOnlyWhileThePipelineFillsAndDrains) {
  for (int stages = 1; stages <= 8; ++stages) {
    const StepPipeline pipeline = even_stages(stages, stages, stages, 10);
    EXPECT_DOUBLE_EQ(run_steps(pipeline).makespan, sum_of_one_stage(pipeline, 0) + 2 * (stages - 1));
  }
}

TEST(PipelineSchedule, AGroupAloneTakesTheSumOverTheStagesInEachEvaluation) {
  for (int stages = 1; stages <= 8; ++stages)
    EXPECT_DOUBLE_EQ(run_steps(even_stages(stages, 1, 1, 10)).makespan, 10 * 2 * stages);
}

TEST(PipelineSchedule, TheSlowestStageSetsThePace) {
  for (const std::size_t slow : {0, 1, 2, 3}) {
    StepPipeline pipeline = even_stages(4, 8, 8, 20);
    pipeline.stages[slow] = {.forward = 1.5, .backward = 1.5};
    const double makespan = run_steps(pipeline).makespan;
    EXPECT_GE(makespan, sum_of_one_stage(pipeline, slow));
    EXPECT_LE(makespan, sum_of_one_stage(pipeline, slow) + 2 * 4 * 1.5) << "stage " << slow;
  }
}

// In rounds, in which all groups go forward and then all of them backward, a stage works G of G + S - 1 turns.
TEST(PipelineSchedule, RoundsAreBeaten) {
  for (const int stages : {2, 4, 8, 16}) {
    const std::int64_t in_flight = stages + 1, groups = 3 * in_flight;
    const StepPipeline pipeline = even_stages(stages, groups, in_flight, 25);
    const double share = sum_of_one_stage(pipeline, 0) / run_steps(pipeline).makespan;
    EXPECT_GT(share, 0.95);
    EXPECT_GT(share, static_cast<double>(in_flight) / static_cast<double>(in_flight + stages - 1));
  }
}

TEST(PipelineSchedule, TheLastEvaluationOfAGroupMayEndForward) {
  StepPipeline pipeline = even_stages(1, 3, 1, 4);
  pipeline.ends_forward = true;
  EXPECT_DOUBLE_EQ(run_steps(pipeline).makespan, 3 * (4 + 3));
  EXPECT_DOUBLE_EQ(run_steps(pipeline).busy[0].busy(), 3 * (4 + 3));
}

TEST(PipelineSchedule, MessagesTakeTimeBetweenStages) {
  StepPipeline pipeline = even_stages(3, 1, 1, 4);
  pipeline.hop = 0.25;
  EXPECT_DOUBLE_EQ(run_steps(pipeline).makespan, 4 * (2 * 3 + 4 * 0.25));
}

TEST(PipelineSchedule, EachGroupIsSetUpOnceOnEveryStage) {
  StepPipeline pipeline = even_stages(2, 5, 2, 3);
  for (StepSeconds& stage : pipeline.stages) stage.setup = 4;
  const Timeline timeline = run_steps(pipeline, Boxes::recorded);
  std::map<int, int> setups;
  for (const Box& box : timeline.boxes) {
    if (box.activity == Activity::setup) ++setups[box.stage];
  }
  EXPECT_EQ(setups, (std::map<int, int>{{0, 5}, {1, 5}}));
  EXPECT_DOUBLE_EQ(timeline.busy[1][Activity::setup], 20);
}

TEST(PipelineSchedule, BoxesOfAStageDoNotOverlapAndAddUpToItsWork) {
  StepPipeline pipeline = even_stages(3, 7, 4, 5);
  pipeline.stages[1] = {.setup = 3, .forward = 0.7, .backward = 1.9};
  pipeline.hop = 0.1;
  const Timeline timeline = run_steps(pipeline, Boxes::recorded);
  std::vector<double> end(3), sum(3);
  for (const Box& box : timeline.boxes) {
    const auto stage = static_cast<std::size_t>(box.stage);
    EXPECT_GE(box.start, end[stage]);
    end[stage] = box.start + box.duration;
    sum[stage] += box.duration;
  }
  for (std::size_t stage = 0; stage < 3; ++stage) EXPECT_NEAR(sum[stage], timeline.busy[stage].busy(), 1e-9);
  EXPECT_DOUBLE_EQ(std::ranges::max(end), timeline.makespan);
  EXPECT_DOUBLE_EQ(run_steps(pipeline).makespan, timeline.makespan);
}

TEST(PipelineSchedule, ManyGroupsAreExtendedFromSomeAsIfAllWereSimulated) {
  for (const std::int64_t groups : {40, 41, 67, 100}) {
    StepPipeline pipeline = even_stages(4, groups, 6, 5);
    pipeline.stages[2] = {.setup = 3, .forward = 1.3, .backward = 1.1};
    const double all = run_steps(pipeline, Boxes::recorded).makespan;
    EXPECT_NEAR(run_steps(pipeline).makespan, all, 0.01 * all);
  }
  EXPECT_GT(run_steps(even_stages(4, 100'000'000, 8, 25)).makespan, 5e9);
}

TEST(PipelineSchedule, PassesWaitForTheSlowestStage) {
  const PassPipeline pipeline{.stages = {1, 3, 2}, .hop = 0.5, .groups = 10, .activity = Activity::score};
  const Timeline timeline = run_passes(pipeline, Boxes::recorded);
  EXPECT_DOUBLE_EQ(timeline.makespan, 1 + 3 + 2 + 2 * 0.5 + 9 * 3);
  EXPECT_DOUBLE_EQ(timeline.busy[2][Activity::score], 20);
  double end = 0;
  for (const Box& box : timeline.boxes) end = std::max(end, box.start + box.duration);
  EXPECT_DOUBLE_EQ(end, timeline.makespan);
}

TEST(PipelineSchedule, StagesAfterTheLastThatWorksAreNotWaitedFor) {
  EXPECT_DOUBLE_EQ(run_passes({.stages = {2, 0, 0}, .hop = 5, .groups = 3}).makespan, 6);
  EXPECT_EQ(run_passes({.stages = {0, 0}, .hop = 5, .groups = 3}).makespan, 0);
}

TEST(PipelineSchedule, NoGroupsTakeNoTime) {
  EXPECT_EQ(run_steps(even_stages(2, 0, 3, 4)).makespan, 0);
  EXPECT_EQ(run_passes({.stages = {1, 1}, .groups = 0}).makespan, 0);
}

TEST(PipelineSchedule, APipelineWithoutStagesIsAnInternalError) {
  EXPECT_THROW((void)run_steps({}), io::InternalError);
  EXPECT_THROW((void)run_passes({}), io::InternalError);
}

}  // namespace
}  // namespace anchorage::coordinator
