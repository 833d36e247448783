#include "coordinator/slab_costs.hpp"

#include <gtest/gtest.h>

#include "tests/unit/coordinator/planned_models.hpp"

namespace anchorage::coordinator {
namespace {

TEST(SlabCosts, SlabsAreDealtToAllRanksAsTheyHaveRoom) {
  const auto wanted = request(llama2_13b(), {6, 7, 8}, 4, 80);  // 7 slabs a layer
  const SlabCosts costs(wanted.workload, wanted.machine, {6, 6, 6, 3});
  EXPECT_EQ(costs.owned(0), 6);
  EXPECT_EQ(costs.owned(3), 3);
  for (std::int64_t layer = 0; layer < 3; ++layer) {
    std::int64_t sum = 0;
    for (int rank = 0; rank < 4; ++rank) sum += costs.owned_of(layer, rank);
    EXPECT_EQ(sum, 7);
  }
}

TEST(SlabCosts, ProductsGrowWithTheBatchFromTheTimeOfReadingASlab) {
  auto wanted = request(llama2_13b(), {6}, 1, 80);
  const auto product = [&](std::int64_t batch) {
    wanted.workload.batch = batch;
    return SlabCosts(wanted.workload, wanted.machine, {7}).product();
  };
  const double reading = 8 * (13824 / 7.0) * 13824 / wanted.machine.memory_rate;
  EXPECT_NEAR(product(2000) - product(1000), product(1000) - reading, 1e-9);
  EXPECT_LT(reading, product(1));
}

TEST(SlabCosts, NothingIsExchangedByOneRank) {
  const auto wanted = request(llama2_13b(), {6}, 1, 80);
  EXPECT_EQ(SlabCosts(wanted.workload, wanted.machine, {7}).gather(), 0);
  EXPECT_EQ(SlabCosts(wanted.workload, wanted.machine, {7}).broadcast(), 0);
  EXPECT_GT(SlabCosts(wanted.workload, wanted.machine, {4, 3}).broadcast(), 0);
}

// f^3 operations for each layer, and reading the slabs.
TEST(SlabCosts, FirstInversesAreMadeByAllRanksAtOnce) {
  const auto wanted = request(llama2_70b(), {10, 11, 12, 13, 14}, 14, 80);
  const double f = 28672;
  const double one = SlabCosts(wanted.workload, wanted.machine, {70}).first_inverses();
  EXPECT_GT(one, 5 * f * f * f / wanted.machine.double_flops);
  EXPECT_LT(one, 1.5 * 5 * f * f * f / wanted.machine.double_flops);
  const std::vector<std::int64_t> shared(14, 5);
  EXPECT_LT(SlabCosts(wanted.workload, wanted.machine, shared).first_inverses(), one / 3);
}

TEST(SlabCosts, EigenvectorsAreAlphaEditsAndTakeTurnsWhereThereAreMoreLayersThanRanks) {
  auto wanted = request(llama2_13b(), {6, 7, 8}, 2, 80);
  EXPECT_EQ(SlabCosts(wanted.workload, wanted.machine, {21}).eigenvectors(), 0);
  wanted.workload.null_space = true;
  const double one = SlabCosts(wanted.workload, wanted.machine, {21}).eigenvectors();
  EXPECT_NEAR(SlabCosts(wanted.workload, wanted.machine, {11, 10}).eigenvectors(), one * 2 / 3, 1e-9);
  EXPECT_NEAR(SlabCosts(wanted.workload, wanted.machine, {7, 7, 7}).eigenvectors(), one / 3, 1e-9);
}

}  // namespace
}  // namespace anchorage::coordinator
