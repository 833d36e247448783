#include "sharding/layer_owners.hpp"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <algorithm>
#include <limits>

#include "io/error.hpp"

namespace anchorage::sharding {
namespace {

std::int64_t fullest(const std::vector<std::int64_t>& costs, const std::vector<int>& owner_of, int owners) {
  std::vector<std::int64_t> load(static_cast<std::size_t>(owners));
  for (std::size_t layer = 0; layer < costs.size(); ++layer) {
    load[static_cast<std::size_t>(owner_of[layer])] += costs[layer];
  }
  return *std::ranges::max_element(load);
}

// Over every way to give the layers to owners.
std::int64_t least_possible(const std::vector<std::int64_t>& costs, int owners) {
  std::int64_t least = std::numeric_limits<std::int64_t>::max();
  std::vector<int> owner_of(costs.size());
  while (true) {
    least = std::min(least, fullest(costs, owner_of, owners));
    std::size_t layer = 0;
    while (layer < costs.size() && ++owner_of[layer] == owners) owner_of[layer++] = 0;
    if (layer == costs.size()) return least;
  }
}

// Costs that repeat, so that ties occur.
std::vector<std::int64_t> costs_of(int layers, int seed) {
  std::vector<std::int64_t> costs;
  for (int layer = 0; layer < layers; ++layer) costs.push_back((seed * 7 + layer * layer * 5 + layer) % 11);
  return costs;
}

TEST(LayerOwners, FullestOwnerIsWithinGrahamsBoundOfTheBest) {
  for (int owners = 1; owners <= 4; ++owners) {
    for (int layers = 1; layers <= 6; ++layers) {
      for (int seed = 0; seed < 20; ++seed) {
        const auto costs = costs_of(layers, seed);
        const std::int64_t found = fullest(costs, layer_owners(costs, owners), owners);
        EXPECT_LE(3 * owners * found, (4 * owners - 1) * least_possible(costs, owners))
            << testing::PrintToString(costs) << " over " << owners;
      }
    }
  }
}

TEST(LayerOwners, LayersOfOneCostAreSpreadEvenly) {
  for (int owners = 1; owners <= 8; ++owners) {
    for (std::size_t layers = 0; layers <= 40; ++layers) {
      for (const std::int64_t cost : {0, 7}) {
        const std::vector<int> owner_of = layer_owners(std::vector<std::int64_t>(layers, cost), owners);
        ASSERT_EQ(owner_of.size(), layers);
        for (int owner = 0; owner < owners; ++owner) {
          const auto owned = static_cast<std::size_t>(std::ranges::count(owner_of, owner));
          EXPECT_GE(owned, layers / static_cast<std::size_t>(owners));
          EXPECT_LE(owned, layers / static_cast<std::size_t>(owners) + 1);
        }
      }
    }
  }
}

TEST(LayerOwners, DearLayersAreKeptApartAndTiesGoByIndex) {
  EXPECT_THAT(layer_owners(std::vector<std::int64_t>{1, 9, 1, 9}, 2), testing::ElementsAre(0, 0, 1, 1));
}

TEST(LayerOwners, NoOwnersAndCostsBelowZeroAreInternalErrors) {
  EXPECT_THROW((void)layer_owners(std::vector<std::int64_t>{1}, 0), io::InternalError);
  EXPECT_THROW((void)layer_owners(std::vector<std::int64_t>{-1}, 1), io::InternalError);
}

}  // namespace
}  // namespace anchorage::sharding
