// Plans over all small worlds, and for models whose sizes are published.
#include "coordinator/planner.hpp"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <regex>
#include <set>

#include "sharding/slabs.hpp"
#include "tests/unit/coordinator/planned_models.hpp"

namespace anchorage::coordinator {
namespace {

using sharding::StageLayers;
using testing::HasSubstr;
using testing::Not;

// Measured on one thread of a shared AMD EPYC, which `plan --measure` found to do 65 Gflop/s in blocks of the
// model: launch/hparams/smollm2-135m.yaml, 8 facts of launch/demo/facts.jsonl in one batch. Finding the values
// took 24.3 s, scoring 0.72 s, all together 30.1 s.
TEST(Planner, AnEditOfTheDemoModelIsEstimatedWithinAFactorOfOneAndAHalf) {
  auto wanted = request(smollm2_135m(), {4, 5, 6, 7, 8}, 1, 80);
  wanted.machine = Machine::cpu(1);
  wanted.machine.flops = 65e9;
  wanted.workload.weight_bytes = 4;
  wanted.workload.batch = 8;
  wanted.workload.hparams.contexts = 3;
  wanted.workload.evaluations = 8 + 12;
  const PlanSeconds seconds = plan_ranks(wanted).seconds;
  const auto close = [](double measured) {
    return testing::AllOf(testing::Gt(measured / 1.5), testing::Lt(measured * 1.5));
  };
  EXPECT_THAT(seconds.values, close(24.3));
  EXPECT_THAT(seconds.total(), close(30.1));
}

// Steps cost what their tokens and layers cost: twice the evaluations, nearly twice the time of many.
TEST(Planner, SecondsFollowTheStepsAndTheLayersBehindTheFirstEditedOne) {
  auto wanted = request(smollm2_135m(), {4, 5, 6}, 1, 80);
  const auto seconds = [&] { return plan_ranks(wanted).seconds.values; };
  wanted.workload.evaluations = 1000;
  const double once = seconds();
  wanted.workload.evaluations = 2000;
  EXPECT_NEAR(seconds() / once, 2, 0.03);
  wanted.workload.hparams.layers = {17};  // 12 of 25 layers remain after it, and the head as before
  EXPECT_LT(seconds(), 2 * 0.62 * once);
}

TEST(Planner, KeepsTheCachesOfAsManyGroupsAsThereIsMemoryForAndIsFasterThen) {
  auto wanted = request(llama2_13b(), {6, 7, 8, 9, 10}, 1, 200);
  wanted.workload.hparams.group = 8;
  wanted.workload.evaluations = 20;
  wanted.workload.locate_evaluations = 8;
  const Plan roomy = plan_ranks(wanted);
  EXPECT_EQ(roomy.kept_groups, 8) << "all of the batch";
  std::int64_t before = 8;
  std::set<std::int64_t> kept;
  for (double gigabytes = 80; find_plan(wanted); gigabytes -= 0.25) {
    wanted.machine.memory_bytes = 1e9 * gigabytes;
    const auto plan = find_plan(wanted);
    if (!plan) break;
    EXPECT_LE(static_cast<double>(plan->ranks.front().bytes.total()), wanted.machine.memory_bytes);
    EXPECT_LE(plan->kept_groups, before) << gigabytes;
    before = plan->kept_groups;
    kept.insert(plan->kept_groups);
    if (plan->kept_groups == 0) {
      EXPECT_GT(plan->seconds.values, roomy.seconds.values);
    }
  }
  EXPECT_TRUE(kept.contains(0)) << "where the memory is just enough";
  EXPECT_GT(kept.size(), 2U);
  wanted.machine.memory_bytes = 200e9;
  wanted.workload.joint = false;
  EXPECT_EQ(plan_ranks(wanted).kept_groups, 0) << "nothing is searched for twice";
}

TEST(Planner, InAllSmallWorldsEveryRankFitsAndEveryLayerAndSlabHasItsPlace) {
  const std::int64_t slabs = std::ssize(sharding::slabs_of(5, llama2_13b().d_ff));
  int planned = 0;
  for (const double gigabytes : {5, 8, 14, 24, 40, 80}) {
    for (int ranks = 1; ranks <= 12; ++ranks) {
      for (int stages = 0; stages <= ranks; ++stages) {
        auto wanted = request(llama2_13b(), {6, 7, 8, 9, 10}, ranks, gigabytes);
        wanted.stages = stages;
        wanted.workload.hparams.group = 8;
        const auto plan = find_plan(wanted);
        if (!plan) continue;
        ++planned;
        EXPECT_EQ(plan->topology.size(), ranks);
        ASSERT_EQ(std::ssize(plan->ranks), ranks);
        for (std::int64_t layer = 0; layer < 40; ++layer) {
          EXPECT_EQ(std::ranges::count_if(plan->stages, [&](const auto& stage) { return stage.contains(layer); }),
                    1);
        }
        std::int64_t places = 0;
        for (int rank = 0; rank < ranks; ++rank) {
          const RankPlan& own = plan->ranks[static_cast<std::size_t>(rank)];
          EXPECT_EQ(own.place, plan->topology.place_of(rank));
          EXPECT_EQ(own.layers, plan->stages[static_cast<std::size_t>(own.place.stage)]);
          EXPECT_LE(static_cast<double>(own.bytes.total()), wanted.machine.memory_bytes);
          places += own.slabs;
        }
        EXPECT_GE(places, slabs);
      }
    }
  }
  EXPECT_GT(planned, 100);
}

TEST(Planner, NoOtherNumberOfStagesIsFasterByMoreThanANearTie) {
  for (const double gigabytes : {14, 24, 40, 200}) {
    for (const std::int64_t batch : {32, 576}) {
      auto wanted = request(llama2_13b(), {6, 7, 8, 9, 10}, 24, gigabytes);
      wanted.workload.batch = batch;
      const Plan plan = plan_ranks(wanted);
      for (const int other : {1, 2, 3, 4, 6, 8, 12, 24}) {
        wanted.stages = other;
        const auto with = find_plan(wanted);
        if (!with) continue;
        EXPECT_LE(plan.seconds.total(), 1.021 * with->seconds.total()) << other << " stages of " << gigabytes;
        if (other < plan.topology.stages()) {
          EXPECT_LT(1.0 * plan.seconds.total(), with->seconds.total());
        }
      }
    }
  }
  EXPECT_EQ(plan_ranks(request(smollm2_135m(), {4, 5, 6}, 4, 80)).topology.stages(), 1);
}

// Twelve groups on eight ranks: eight replicas have one or two each, four of two stages have three each.
TEST(Planner, MoreStagesThanFitAreTakenWhereTheyAreFaster) {
  auto wanted = request(llama2_13b(), {6, 7, 8, 9, 10}, 8, 200);
  wanted.workload.hparams.group = 8;
  wanted.workload.batch = 96;
  EXPECT_GT(plan_ranks(wanted).topology.stages(), 1);
}

TEST(Planner, LowerAndUpperLayersAreBothSpreadOverTheStages) {
  auto wanted = request(llama2_13b(), {20, 21, 22}, 4, 80);
  wanted.stages = 4;
  for (const StageLayers& stage : plan_ranks(wanted).stages) {
    EXPECT_NEAR(static_cast<double>(stage.below(20)), 5, 1);
    EXPECT_NEAR(static_cast<double>(stage.size() - stage.below(20)), 5, 1);
  }
}

TEST(Planner, SlabsAreEvenWhereThereIsRoomAndElsewhereGoWhereItIs) {
  auto wanted = request(llama2_13b(), {6, 7, 8, 9, 10}, 4, 80);  // 35 slabs
  wanted.stages = 2;
  for (const RankPlan& rank : plan_ranks(wanted).ranks) EXPECT_EQ(rank.slabs, 9);
  // Less and less memory, to the last that fits: then no longer even.
  std::int64_t least = 9, most = 9;
  for (double gigabytes = 30; gigabytes > 15; gigabytes -= 0.1) {
    wanted.machine.memory_bytes = 1e9 * gigabytes;
    const auto plan = find_plan(wanted);
    if (!plan) break;
    for (const RankPlan& rank : plan->ranks) least = std::min(least, rank.slabs), most = std::max(most, rank.slabs);
  }
  EXPECT_LT(least, 9);
  EXPECT_GT(most, 9);
}

TEST(Planner, ManyRanksArePlannedInSeconds) {
  auto wanted = request(llama2_70b(), {10, 11, 12, 13, 14}, 1024, 80);
  wanted.workload.batch = 9216;
  EXPECT_EQ(plan_ranks(wanted).topology.size(), 1024);
}

// Where memory is no limit, the cut follows the work, which lies after the edited layers; yet not so far that one
// rank holds nearly the whole model.
TEST(Planner, ARankOfTwoStagesHoldsAtMostTwoThirdsOfTheDemoModel) {
  auto wanted = request(smollm2_135m(), {4, 5, 6, 7, 8}, 2, 80);
  wanted.stages = 2;
  wanted.workload.weight_bytes = 4;
  wanted.machine = Machine::cpu(1);
  for (const int contexts : {3, 6}) {
    wanted.workload.hparams.contexts = contexts;
    for (const RankPlan& rank : plan_ranks(wanted).ranks) {
      EXPECT_LE(static_cast<double>(rank.bytes.weights), 2.0 / 3 * 4 * 134'515'008) << contexts << " contexts";
    }
  }
}

TEST(Planner, MoreReplicasTakeLessTimeForABatch) {
  double before = 1e30;
  for (const int ranks : {1, 2, 4, 8}) {
    auto wanted = request(llama2_13b(), {6, 7, 8, 9, 10}, ranks, 200);
    wanted.workload.hparams.group = 4;
    const double values = plan_ranks(wanted).seconds.values;
    EXPECT_LT(values, 0.6 * before);
    before = values;
  }
}

TEST(Planner, GroupsInFlightKeepStagesAtWorkAtTheSameTime) {
  auto wanted = request(llama2_13b(), {6, 7, 8, 9, 10}, 4, 80);
  wanted.workload.hparams.group = 2;
  wanted.stages = 4;
  const double piped = plan_ranks(wanted).seconds.values;
  wanted.workload.hparams.group = 64;  // one group: the stages wait for each other
  const double in_turn = plan_ranks(wanted).seconds.values;
  EXPECT_LT(piped, 0.6 * in_turn);
}

TEST(Planner, RanksThatDoNotDivideAreToldWhatWould) {
  auto wanted = request(llama2_13b(), {6, 7, 8, 9, 10}, 5, 80);
  wanted.stages = 2;
  EXPECT_THAT(refusal(wanted), testing::AllOf(HasSubstr("a multiple of 2 ranks"), HasSubstr("take 4 or 6 ranks")));
}

TEST(Planner, RanksThatNoFittingStagesPartAreToldWhatWould) {
  auto wanted = request(llama2_13b(), {6, 7, 8, 9, 10}, 41, 24);  // a prime number, and more than there are layers
  wanted.workload.hparams.group = 8;
  EXPECT_THAT(refusal(wanted), testing::AllOf(HasSubstr("a multiple of"), HasSubstr("ranks, for replicas of")));
  wanted.ranks = 37;
  EXPECT_EQ(plan_ranks(wanted).topology.stages(), 37);
}

TEST(Planner, ModelsThatDoNotFitAreToldWhatWould) {
  EXPECT_THAT(refusal(request(llama2_13b(), {6, 7, 8, 9, 10}, 1, 16)),
              testing::AllOf(HasSubstr("found 16.0 GB"), HasSubstr("take ranks of"), HasSubstr("stages:")));
  // The process and a batch alone take more: neither stages nor groups would help.
  EXPECT_THAT(refusal(request(llama2_13b(), {6, 7, 8, 9, 10}, 64, 1.5)),
              testing::AllOf(HasSubstr("take ranks of"), Not(HasSubstr("stages:")), Not(HasSubstr("group"))));
}

TEST(Planner, WhoeverDoesWhatARefusalSaysIsNotRefusedAgain) {
  int memory_advice = 0, stage_advice = 0, group_advice = 0;
  for (double gigabytes = 3; gigabytes < 90; gigabytes *= 1.35) {
    for (const int ranks : {1, 2, 3, 5, 8, 41}) {
      for (const int group : {0, 2048}) {
        auto wanted = request(llama2_13b(), {6, 7, 8, 9, 10}, ranks, gigabytes);
        wanted.workload.batch = std::max(64, group);
        wanted.workload.hparams.group = group;
        const std::string text = refusal(wanted);
        std::smatch found;
        if (std::regex_search(text, found, std::regex("take ranks of ([0-9.]+) GB"))) {
          auto more = wanted;
          more.machine.memory_bytes = 1e9 * std::stod(found[1]);
          EXPECT_EQ(refusal(more), "no error") << text;
          ++memory_advice;
        }
        if (!std::regex_search(text, found, std::regex("([0-9]+) stages: \\1 ranks or a multiple"))) continue;
        const bool smaller = text.find("group: 1") != std::string::npos;
        for (const int times : {1, 2, 3}) {
          auto more = wanted;
          more.ranks = times * std::stoi(found[1]);
          if (smaller) {
            EXPECT_NE(refusal(more), "no error") << text << " x " << times;
            more.workload.hparams.group = 1;
          }
          EXPECT_EQ(refusal(more), "no error") << text << " x " << times;
        }
        ++(smaller ? group_advice : stage_advice);
      }
    }
  }
  EXPECT_GT(memory_advice, 20);
  EXPECT_GT(stage_advice, 20);
  EXPECT_GT(group_advice, 2);
}

// Where the ranks do not divide and do not fit, dividing is not the advice.
TEST(Planner, StagesThatDoNotFitAreNotAdvisedByTheNumberOfRanks) {
  auto wanted = request(llama2_13b(), {6, 7, 8, 9, 10}, 8, 10);
  wanted.stages = 3;
  EXPECT_THAT(refusal(wanted), testing::AllOf(HasSubstr("take ranks of"), Not(HasSubstr("a multiple of 3"))));
}

TEST(Planner, RefusalsNameWhatGaveTheNumberOfRanks) {
  auto wanted = request(llama2_13b(), {6, 7, 8, 9, 10}, 5, 80);
  wanted.stages = 2;
  wanted.ranks_from = "mpirun -n";
  EXPECT_THAT(refusal(wanted), testing::AllOf(HasSubstr("in mpirun -n"), Not(HasSubstr("--ranks"))));
}

// The default of a batch: a replica's stages have groups to work on at the same time.
TEST(Planner, GroupsOfABigModelAreSmallEnoughToKeepItsStagesAtWork) {
  auto wanted = request(llama2_13b(), {6, 7, 8, 9, 10}, 4, 80);
  wanted.stages = 4;
  EXPECT_GE(plan_ranks(wanted).groups_in_flight, 4);
  EXPECT_EQ(plan_ranks(request(smollm2_135m(), {4, 5, 6}, 1, 80)).group, 64);  // whole: kernels are short
}

TEST(Planner, MoreStagesThanLayersOrRanksAreRefused) {
  auto wanted = request(smollm2_135m(), {4}, 2, 80);
  wanted.stages = 3;
  EXPECT_THAT(refusal(wanted), HasSubstr("at most 2 stages"));
}

}  // namespace
}  // namespace anchorage::coordinator
