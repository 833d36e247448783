// Plans over all small worlds, and for models whose sizes are published.
#include "coordinator/planner.hpp"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <regex>
#include <set>

#include "io/error.hpp"

namespace anchorage::coordinator {
namespace {

using sharding::Range;
using testing::HasSubstr;
using testing::Not;

io::ModelConfig llama(std::int64_t layers, std::int64_t d_model, std::int64_t d_ff, std::int64_t heads,
                      std::int64_t kv_heads, std::int64_t vocabulary, bool tied) {
  io::ModelConfig model;
  model.layers = layers;
  model.d_model = d_model;
  model.d_ff = d_ff;
  model.heads = heads;
  model.kv_heads = kv_heads;
  model.head_dim = d_model / heads;
  model.vocabulary = vocabulary;
  model.max_positions = 4096;
  model.tied_head = tied;
  model.attention_bias = model.mlp_bias = false;
  return model;
}

io::ModelConfig llama2_13b() {
  return llama(40, 5120, 13824, 40, 40, 32000, false);
}
io::ModelConfig smollm2_135m() {
  return llama(30, 576, 1536, 9, 3, 49152, true);
}

io::ModelConfig gpt2_xl() {
  auto model = llama(48, 1600, 6400, 25, 25, 50257, true);
  model.family = io::Family::gpt2;
  model.max_positions = 1024;
  model.attention_bias = model.mlp_bias = true;
  return model;
}

PlanRequest request(const io::ModelConfig& model, std::vector<int> layers, int ranks, double gigabytes) {
  PlanRequest request;
  request.workload.model = model;
  request.workload.hparams.layers = std::move(layers);
  request.workload.batch = 64;
  request.machine.memory_bytes = 1e9 * gigabytes;
  request.ranks = ranks;
  return request;
}

std::string refusal(const PlanRequest& wanted) {
  try {
    (void)plan_ranks(wanted);
  } catch (const io::UserError& error) {
    return error.what();
  }
  return "no error";
}

// The authors' counts of parameters, with bf16's two bytes each and the few rotary frequencies beside them.
TEST(StageCosts, WeightsOfWholeModelsAreThePublishedParameters) {
  const auto weights = [](const io::ModelConfig& model) {
    const PlanRequest whole = request(model, {}, 1, 80);
    return StageCosts(whole.workload, whole.machine, 1, 1).bytes({0, model.layers}, 0).weights;
  };
  EXPECT_EQ(weights(llama2_13b()), 2 * 13'015'864'320 + 128 / 2 * 8);
  EXPECT_EQ(weights(llama(32, 4096, 14336, 32, 8, 128256, false)), 2 * 8'030'261'248 + 128 / 2 * 8);
  EXPECT_EQ(weights(smollm2_135m()), 2 * 134'515'008 + 64 / 2 * 8);
  EXPECT_EQ(weights(gpt2_xl()), 2 * std::int64_t{1'557'611'200});
}

TEST(StageCosts, ATiedEmbeddingIsHeldOnceByEachStageThatNeedsIt) {
  for (const io::ModelConfig& model : {smollm2_135m(), gpt2_xl()}) {
    const PlanRequest wanted = request(model, {}, 2, 80);
    const StageCosts costs(wanted.workload, wanted.machine, 2, 1);
    const auto weights = [&](Range layers) { return costs.bytes(layers, 0).weights; };
    const std::int64_t rotary = model.family == io::Family::gpt2 ? 0 : model.head_dim / 2 * 8;
    EXPECT_EQ(weights({0, 5}) + weights({5, model.layers}),
              weights({0, model.layers}) + 2 * model.vocabulary * model.d_model + rotary);
    EXPECT_LT(weights({5, 10}), weights({0, 5}));
  }
}

TEST(StageCosts, OwnersHoldTheLeastSquaresOfTheirLayers) {
  const PlanRequest wanted = request(llama2_13b(), {6, 7, 8}, 1, 80);
  const StageCosts costs(wanted.workload, wanted.machine, 1, 1);
  const RankBytes none = costs.bytes({0, 40}, 0), two = costs.bytes({0, 40}, 2);
  EXPECT_EQ(none.second_moments, 0);
  EXPECT_EQ(two.second_moments, 2 * 2 * 8 * std::int64_t{13824} * 13824);
  EXPECT_EQ(none.masters, 3 * 3 * 4 * std::int64_t{5120} * 13824);
  EXPECT_EQ(none.solving, 0);
  // While the new ones are made, the old ones are kept, since the batch may be reverted.
  EXPECT_GE(two.solving, two.second_moments);
}

// Values are found, then their keys are absorbed.
TEST(StageCosts, OfActivationsAndSolvingTheLargerCounts) {
  RankBytes bytes{.weights = 1, .masters = 2, .second_moments = 3, .solving = 10, .activations = 7, .caches = 4};
  EXPECT_EQ(bytes.total(), 1 + 2 + 3 + 10 + 4);
  bytes.activations = 12;
  EXPECT_EQ(bytes.total(), 1 + 2 + 3 + 12 + 4);
}

// MEMIT's layers are solved one after another, whoever owns them; B-EAC's at the same time, but for the sweeps.
TEST(StageCosts, OwnersSolveAtTheSameTimeWhatDoesNotDependOnLayersBelow) {
  auto wanted = request(llama2_13b(), {6, 7, 8, 9, 10}, 5, 200);
  wanted.workload.hparams.correction_sweeps = 0;
  const auto solve = [&](int ranks) {
    wanted.ranks = ranks;
    return plan_ranks(wanted).seconds.solve;
  };
  EXPECT_NEAR(solve(1) / solve(5), 5, 1e-9);
  wanted.workload.hparams.correction_sweeps = 1;
  EXPECT_LT(solve(1) / solve(5), 5);
  EXPECT_GT(solve(1) / solve(5), 1.5);
  wanted.workload.joint = false;
  EXPECT_EQ(solve(1), solve(5));
}

TEST(StageCosts, OnlyLayersBehindTheFirstEditedOneKeepActivations) {
  const PlanRequest wanted = request(llama2_13b(), {20, 21}, 4, 80);
  const StageCosts costs(wanted.workload, wanted.machine, 4, 1);
  EXPECT_EQ(costs.bytes({0, 10}, 0).activations, costs.bytes({10, 21}, 0).activations);
  EXPECT_LT(costs.bytes({10, 21}, 0).activations, costs.bytes({10, 22}, 0).activations);
  EXPECT_LT(costs.values_seconds({10, 20}), costs.values_seconds({21, 31}));
}

// Measured on one thread of a shared AMD EPYC, which `plan --measure` found to do 65 Gflop/s in blocks of the
// model: launch/hparams/smollm2-135m.yaml, 8 facts of launch/demo/facts.jsonl in one batch. Finding the values
// took 24.3 s, scoring 0.72 s, solving 0.80 s, all together 30.1 s.
TEST(StageCosts, AnEditOfTheDemoModelIsEstimatedWithinAFactorOfOneAndAHalf) {
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
  EXPECT_THAT(seconds.solve, close(0.80));
}

// Steps cost what their tokens and layers cost: twice the evaluations, nearly twice the time of many.
TEST(StageCosts, SecondsFollowTheStepsAndTheLayersBehindTheFirstEditedOne) {
  auto wanted = request(smollm2_135m(), {4, 5, 6}, 1, 80);
  const auto seconds = [&](Range layers) {
    return StageCosts(wanted.workload, wanted.machine, 1, 1).values_seconds(layers);
  };
  wanted.workload.evaluations = 1000;
  const double once = seconds({0, 30}), before = seconds({0, 5});
  EXPECT_LT(before, 0.01 * once);
  wanted.workload.evaluations = 2000;
  EXPECT_NEAR(seconds({0, 30}) / once, 2, 0.02);
  EXPECT_EQ(seconds({0, 5}), before);
  wanted.workload.hparams.layers = {17};  // 12 of 25 layers remain after it, and the head as before
  EXPECT_LT(seconds({0, 30}), 2 * 0.62 * once);
}

TEST(Planner, InAllSmallWorldsEveryRankFitsAndEveryEditedLayerHasOneOwnerThatHoldsIt) {
  int planned = 0;
  for (const double gigabytes : {10, 14, 18, 24, 40, 80}) {
    for (int ranks = 1; ranks <= 12; ++ranks) {
      for (int stages = 0; stages <= ranks; ++stages) {
        auto wanted = request(llama2_13b(), {6, 7, 8, 9, 10}, ranks, gigabytes);
        wanted.stages = stages;
        wanted.workload.hparams.group = 8;
        if (refusal(wanted) != "no error") continue;
        const Plan plan = plan_ranks(wanted);
        ++planned;
        EXPECT_EQ(plan.topology.size(), ranks);
        EXPECT_EQ(std::ssize(plan.ranks), ranks);
        std::multiset<int> owned;
        std::int64_t begin = 0;
        for (const Range& stage : plan.stages) {
          EXPECT_EQ(stage.begin, begin);
          begin = stage.end;
        }
        EXPECT_EQ(begin, 40);
        for (int rank = 0; rank < ranks; ++rank) {
          const RankPlan& own = plan.ranks[static_cast<std::size_t>(rank)];
          EXPECT_EQ(own.place, plan.topology.place_of(rank));
          EXPECT_EQ(own.layers, plan.stages[static_cast<std::size_t>(own.place.stage)]);
          EXPECT_LE(static_cast<double>(own.bytes.total()), wanted.machine.memory_bytes);
          for (const int layer : own.owns) EXPECT_TRUE(own.layers.contains(layer));
          owned.insert(own.owns.begin(), own.owns.end());
        }
        EXPECT_THAT(owned, testing::ElementsAre(6, 7, 8, 9, 10));
      }
    }
  }
  EXPECT_GT(planned, 100);
}

TEST(Planner, TakesTheFewestStagesThatFitAndGivesTheRestToReplicas) {
  for (const double gigabytes : {14, 18, 24, 40, 80, 200}) {
    auto wanted = request(llama2_13b(), {6, 7, 8, 9, 10}, 24, gigabytes);
    wanted.workload.hparams.group = 8;
    if (refusal(wanted) != "no error") continue;
    const Plan plan = plan_ranks(wanted);
    EXPECT_EQ(plan.topology.replicas(), 24 / plan.topology.stages());
    for (int fewer = 1; fewer < plan.topology.stages(); ++fewer) {
      if (24 % fewer != 0) continue;
      wanted.stages = fewer;
      EXPECT_NE(refusal(wanted), "no error") << fewer << " stages of " << gigabytes << " GB";
    }
  }
  EXPECT_EQ(plan_ranks(request(smollm2_135m(), {4, 5, 6}, 4, 80)).topology.stages(), 1);
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
      EXPECT_LE(static_cast<double>(rank.bytes.weights), 0.65 * 4 * 134'515'008) << contexts << " contexts";
    }
  }
}

TEST(Planner, OwnersAreSpreadOverTheReplicasOfTheStage) {
  const Plan plan = plan_ranks(request(smollm2_135m(), {4, 5, 6, 7}, 4, 80));
  for (const RankPlan& rank : plan.ranks) EXPECT_EQ(rank.owns.size(), 1U);
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
  // One layer's least squares alone take more: neither stages nor groups would help.
  EXPECT_THAT(refusal(request(llama2_13b(), {6, 7, 8, 9, 10}, 64, 2)),
              testing::AllOf(HasSubstr("take ranks of"), Not(HasSubstr("stages:")), Not(HasSubstr("group"))));
}

TEST(Planner, WhoeverDoesWhatARefusalSaysIsNotRefusedAgain) {
  int memory_advice = 0, stage_advice = 0, group_advice = 0;
  for (double gigabytes = 12; gigabytes < 90; gigabytes += 1.7) {
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
