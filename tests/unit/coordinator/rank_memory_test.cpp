#include "coordinator/rank_memory.hpp"

#include <gtest/gtest.h>

#include "sharding/edit_groups.hpp"
#include "tests/unit/coordinator/planned_models.hpp"

namespace anchorage::coordinator {
namespace {

using sharding::StageLayers;

RankBytes whole_model(const PlanRequest& wanted, std::int64_t slabs = 0) {
  return RankMemory(wanted.workload, wanted.machine, 1, 1).bytes(0, {0, wanted.workload.model.layers}, slabs);
}

TEST(RankMemory, ARankHoldsItsSlabsWholeAndOneMasterOfEachEditedLayer) {
  const auto wanted = request(llama2_13b(), {6, 7, 8}, 1, 80);
  constexpr std::int64_t d = 5120, f = 13824;  // 7 slabs of 1,974 or 1,975 rows
  EXPECT_EQ(whole_model(wanted, 0).least_squares, 0);
  EXPECT_EQ(whole_model(wanted, 4).least_squares, 4 * 8 * 1975 * f);
  EXPECT_EQ(whole_model(wanted).masters, 3 * (4 + 2) * d * f + 4 * 1024 * f) << "the base beside each, in bf16";
  auto in_f32 = wanted;
  in_f32.workload.weight_bytes = 4;
  EXPECT_EQ(whole_model(in_f32).masters, 3 * (4 + 4) * d * f + 4 * 1024 * f);
  auto on_cpu = wanted;
  on_cpu.machine = Machine::cpu(1);
  EXPECT_EQ(whole_model(on_cpu).masters, 3 * 4 * d * f + 4 * 1024 * f) << "the base lies in the mapped file";
}

TEST(RankMemory, OnACpuKernelsFor16BitWeightsAreHeldToo) {
  auto wanted = request(llama2_13b(), {6, 7, 8}, 1, 80);
  wanted.machine = Machine::cpu(1);
  wanted.workload.weight_bytes = 4;
  const std::int64_t in_f32 = whole_model(wanted).runtime;
  wanted.workload.weight_bytes = 2;
  EXPECT_EQ(whole_model(wanted).runtime - in_f32, 170'000'000);
}

// Of each token and layer that steps: what enters a norm. Scores are made again where a soft cap needs them.
TEST(RankMemory, WhatEntersNormsAfterAttentionAndMlpAndThoseOfHeadsIsKeptForBackward) {
  auto wanted = request(llama2_13b(), {6}, 1, 80);
  const io::ModelConfig plain = wanted.workload.model;
  const std::int64_t before = whole_model(wanted).activations;
  const auto more = [&](const auto& change) {
    wanted.workload.model = plain;
    change(wanted.workload.model);
    return whole_model(wanted).activations - before;
  };
  const std::int64_t post_norms = more([](auto& model) { model.family = io::Family::gemma2; });
  const std::int64_t head_norms = more([](auto& model) { model.family = io::Family::qwen3; });
  const std::int64_t capped = more([](auto& model) { model.attention_cap = 50; });
  EXPECT_GT(post_norms, 0);
  EXPECT_EQ(head_norms, post_norms) << "of 40 query and 40 key heads, which are as wide as two residual streams";
  EXPECT_EQ(post_norms % (2 * 2 * plain.d_model), 0);
  EXPECT_EQ(capped, 0);
}

// In place of logits and their gradient in 16 bits, six in f32.
TEST(RankMemory, OfLogitsWithASoftCapSixTimesAsMuchIsHeld) {
  auto wanted = request(llama2_13b(), {6}, 1, 80);
  const std::int64_t before = whole_model(wanted).caches;
  const auto with_vocabulary = [&](std::int64_t vocabulary, double cap) {
    wanted.workload.model.vocabulary = vocabulary;
    wanted.workload.model.head_cap = cap;
    return whole_model(wanted).caches;
  };
  const std::int64_t probabilities = 9 * 32000 * 4;  // of the unedited model, for a group of 9 edits
  const std::int64_t logits = before - with_vocabulary(0, 0) - probabilities;
  EXPECT_GT(logits, 0);
  EXPECT_EQ(with_vocabulary(32000, 30) - before, 5 * logits);
}

TEST(RankMemory, RanksWithoutEditedLayersHoldNoMastersButTheBatch) {
  const auto wanted = request(llama2_13b(), {6, 7, 8}, 2, 80);
  const RankMemory memory(wanted.workload, wanted.machine, 2, 1);
  const RankBytes first = memory.bytes(0, {0, 20}, 1), second = memory.bytes(1, {20, 40}, 1);
  EXPECT_EQ(second.masters, 0);
  EXPECT_EQ(first.batch - second.batch, (4 + 4 + 8) * 64 * std::int64_t{13824});
  EXPECT_EQ(second.least_squares, first.least_squares);
}

// Keys, products, factor, residuals, u and v of three layers; three [b, b]; how far 64 rows of a weight have
// moved.
TEST(RankMemory, ABatchIsHeldWithoutCopies) {
  const auto wanted = request(llama2_13b(), {6, 7, 8}, 1, 80);
  constexpr std::int64_t d = 5120, f = 13824, b = 64;
  EXPECT_EQ(whole_model(wanted).batch, 3 * (4 * b * f + 8 * f * b + 8 * b * f + 4 * b * d + 4 * d * b + 4 * f * b) +
                                           3 * 8 * b * b + (4 + 4 + 8) * 64 * f);
}

// Two groups in flight on two stages, of eight.
TEST(RankMemory, CachesThatAreKeptAreHeldBesideThoseInFlight) {
  auto wanted = request(llama2_13b(), {6, 7, 8}, 2, 80);
  wanted.workload.hparams.group = 8;
  const sharding::StageLayers upper(20, 40);
  const auto without = wanted;
  const RankMemory none(without.workload, without.machine, 2, 1);
  const std::int64_t in_flight = sharding::groups_in_flight(none.groups(), 2);
  EXPECT_EQ(none.groups(), 8);
  for (const std::int64_t kept : {1, 5, 8, 100}) {
    wanted.workload.kept_groups = kept;
    const RankMemory memory(wanted.workload, wanted.machine, 2, 1);
    EXPECT_EQ(memory.bytes(1, upper, 1).caches - none.bytes(1, upper, 1).caches,
              std::max(in_flight, std::min<std::int64_t>(kept, 8)) * none.cache_bytes(upper))
        << kept;
  }
}

TEST(RankMemory, OfWhatIsHeldAtDifferentTimesTheLargestCounts) {
  RankBytes bytes{.weights = 1, .masters = 2, .least_squares = 3, .starting = 10, .activations = 4, .caches = 3};
  EXPECT_EQ(bytes.total(), 1 + 2 + 3 + 10);
  bytes.subjects = 5;
  EXPECT_EQ(bytes.total(), 1 + 2 + 3 + 12);
  bytes.batch = 9;
  EXPECT_EQ(bytes.total(), 1 + 2 + 3 + 14);
  bytes.runtime = 100;
  EXPECT_EQ(bytes.total(), 1 + 2 + 3 + 14 + 100);
  bytes.checkpoint = 7;
  EXPECT_EQ(bytes.total(), 1 + 2 + 3 + 14 + 7 + 100);
  bytes.starting = 22;
  EXPECT_EQ(bytes.total(), 1 + 2 + 3 + 22 + 100);
}

TEST(RankMemory, EigenvectorsAreFoundByTheFirstRanksOneLayerEach) {
  auto wanted = request(llama2_13b(), {6, 7}, 4, 80);
  const auto starting = [&](int stage) {
    return RankMemory(wanted.workload, wanted.machine, 4, 1)
        .bytes(stage, {10 * stage, 10 * stage + 10}, 1)
        .starting;
  };
  const std::int64_t without = starting(0);
  EXPECT_EQ(starting(3), without);
  wanted.workload.null_space = true;
  EXPECT_EQ(starting(1), 4 * 8 * std::int64_t{13824} * 13824);
  EXPECT_EQ(starting(2), without);
}

TEST(RankMemory, CheckpointsTakeMemoryOfTheRankWhereThatIsTheHosts) {
  auto wanted = request(smollm2_135m(), {4, 5}, 1, 80);
  EXPECT_EQ(whole_model(wanted).checkpoint, 0);
  wanted.machine = Machine::cpu(1);
  EXPECT_EQ(whole_model(wanted).checkpoint, 8 * 1536 * 1536);
}

// A stage holds the activations of the groups that it has taken forward and not yet backward: of eight in flight
// the first of four stages those of five, the last of one.
TEST(RankMemory, LaterStagesHoldTheActivationsOfFewerGroups) {
  auto wanted = request(llama2_13b(), {0}, 4, 80);
  wanted.workload.hparams.group = 4;
  const RankMemory memory(wanted.workload, wanted.machine, 4, 1);
  const auto activations = [&](int stage, std::int64_t begin, std::int64_t end) {
    return memory.bytes(stage, {begin, end}, 0).activations;
  };
  const std::int64_t passing = activations(3, 10, 20) - (activations(3, 10, 30) - activations(3, 10, 20));
  EXPECT_EQ(activations(0, 10, 20) - passing, 5 * (activations(3, 10, 20) - passing));
}

TEST(RankMemory, OnlyLayersBehindTheFirstEditedOneKeepActivations) {
  const auto wanted = request(llama2_13b(), {20, 21}, 4, 80);
  const RankMemory memory(wanted.workload, wanted.machine, 4, 1);
  const auto activations = [&](const StageLayers& layers) { return memory.bytes(0, layers, 0).activations; };
  EXPECT_EQ(activations({0, 10}), activations({10, 21}));
  EXPECT_LT(activations({10, 21}), activations({10, 22}));
}

TEST(RankMemory, AModelThatIsOnlyRunHoldsNothingOfEdits) {
  const RankBytes bytes = whole_model(request(llama2_13b(), {}, 1, 80));
  EXPECT_EQ(bytes.masters + bytes.least_squares + bytes.starting + bytes.batch + bytes.subjects, 0);
}

}  // namespace
}  // namespace anchorage::coordinator
