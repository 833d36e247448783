#include "sharding/layer_owners.hpp"

#include <fmt/format.h>

#include <algorithm>
#include <functional>
#include <numeric>
#include <tuple>

#include "io/error.hpp"

namespace anchorage::sharding {
namespace {

struct LayerLoad {
  std::int64_t cost = 0;
  int layers = 0;
  int owner = 0;
};

}  // namespace

std::vector<int> layer_owners(std::span<const std::int64_t> costs, int owners) {
  io::check(owners > 0, fmt::format("{} layers over {} owners", costs.size(), owners));
  io::check(std::ranges::all_of(costs, [](std::int64_t cost) { return cost >= 0; }), "a layer's cost is below 0");
  std::vector<std::size_t> descending(costs.size());
  std::iota(descending.begin(), descending.end(), std::size_t{0});
  std::ranges::stable_sort(descending, std::greater{}, [&](std::size_t layer) { return costs[layer]; });

  std::vector<LayerLoad> loads;
  for (int owner = 0; owner < owners; ++owner) loads.push_back({.owner = owner});
  std::vector<int> owner_of(costs.size());
  for (const std::size_t layer : descending) {
    const auto key = [](const LayerLoad& load) { return std::tuple(load.cost, load.layers, load.owner); };
    LayerLoad& least = *std::ranges::min_element(loads, {}, key);
    least.cost += costs[layer];
    least.layers += 1;
    owner_of[layer] = least.owner;
  }
  return owner_of;
}

}  // namespace anchorage::sharding
