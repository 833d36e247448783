#include "sharding/layer_owners.hpp"

#include <fmt/format.h>

#include <algorithm>
#include <numeric>
#include <tuple>

#include "io/error.hpp"

namespace anchorage::sharding {
namespace {

struct Load {
  std::int64_t cost = 0;
  int layers = 0;
  int owner = 0;
};

// `present` [layers] has each layer's owner so far, which wins ties; where it is empty, the lower index wins.
std::vector<int> balanced(std::span<const std::int64_t> costs, std::span<const int> present, int owners) {
  io::check(owners > 0, fmt::format("{} layers over {} owners", costs.size(), owners));
  io::check(std::ranges::all_of(costs, [](std::int64_t cost) { return cost >= 0; }), "a layer's cost is below 0");
  std::vector<std::size_t> descending(costs.size());
  std::iota(descending.begin(), descending.end(), std::size_t{0});
  std::ranges::stable_sort(descending, std::greater{}, [&](std::size_t layer) { return costs[layer]; });

  std::vector<Load> loads;
  for (int owner = 0; owner < owners; ++owner) loads.push_back({.owner = owner});
  std::vector<int> owner_of(costs.size());
  for (const std::size_t layer : descending) {
    const auto key = [&](const Load& load) {
      const bool stays = !present.empty() && present[layer] == load.owner;
      return std::tuple(load.cost, load.layers, !stays, load.owner);
    };
    Load& least = *std::ranges::min_element(loads, {}, key);
    least.cost += costs[layer];
    least.layers += 1;
    owner_of[layer] = least.owner;
  }
  return owner_of;
}

std::int64_t fullest(std::span<const std::int64_t> costs, std::span<const int> owner_of, int owners) {
  std::vector<std::int64_t> load(static_cast<std::size_t>(owners));
  for (std::size_t layer = 0; layer < costs.size(); ++layer) {
    load[static_cast<std::size_t>(owner_of[layer])] += costs[layer];
  }
  return std::ranges::max(load);
}

}  // namespace

std::vector<int> layer_owners(std::span<const std::int64_t> costs, int owners) {
  return balanced(costs, {}, owners);
}

std::vector<int> refreshed_layer_owners(std::span<const std::int64_t> costs, std::span<const int> owner_of,
                                        int owners, double tolerance) {
  io::check(owner_of.size() == costs.size(), "one owner a layer");
  std::vector<int> rebalanced = balanced(costs, owner_of, owners);
  const auto before = static_cast<double>(fullest(costs, owner_of, owners));
  if (static_cast<double>(fullest(costs, rebalanced, owners)) < (1 - tolerance) * before) return rebalanced;
  return {owner_of.begin(), owner_of.end()};
}

}  // namespace anchorage::sharding
