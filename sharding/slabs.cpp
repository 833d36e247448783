#include "sharding/slabs.hpp"

#include <fmt/format.h>

#include <algorithm>
#include <functional>
#include <numeric>
#include <tuple>

#include "io/error.hpp"

namespace anchorage::sharding {
namespace {

struct SlabLoad {
  std::int64_t cost = 0, slabs = 0;
  int rank = 0;
};

// `present` [slabs] has each slab's owner so far, which wins ties; where it is empty, the lower rank wins.
std::vector<int> balanced(std::span<const std::int64_t> costs, std::span<const std::int64_t> capacities,
                          std::span<const int> present) {
  io::check(std::accumulate(capacities.begin(), capacities.end(), std::int64_t{0}) >= std::ssize(costs),
            "more slabs than the ranks have places for");
  io::check(std::ranges::all_of(costs, [](std::int64_t cost) { return cost >= 0; }), "a slab's cost is below 0");
  std::vector<std::size_t> descending(costs.size());
  std::iota(descending.begin(), descending.end(), std::size_t{0});
  std::ranges::stable_sort(descending, std::greater{}, [&](std::size_t slab) { return costs[slab]; });

  std::vector<SlabLoad> loads;
  for (int rank = 0; rank < static_cast<int>(capacities.size()); ++rank) loads.push_back({.rank = rank});
  std::vector<int> owner_of(costs.size());
  for (const std::size_t slab : descending) {
    const auto key = [&](const SlabLoad& load) {
      const bool full = load.slabs >= capacities[static_cast<std::size_t>(load.rank)];
      const bool stays = !present.empty() && present[slab] == load.rank;
      return std::tuple(full, load.cost, load.slabs, !stays, load.rank);
    };
    SlabLoad& least = *std::ranges::min_element(loads, {}, key);
    least.cost += costs[slab];
    least.slabs += 1;
    owner_of[slab] = least.rank;
  }
  return owner_of;
}

std::int64_t fullest(std::span<const std::int64_t> costs, std::span<const int> owner_of, std::size_t ranks) {
  std::vector<std::int64_t> load(ranks);
  for (std::size_t slab = 0; slab < costs.size(); ++slab) {
    load[static_cast<std::size_t>(owner_of[slab])] += costs[slab];
  }
  return std::ranges::max(load);
}

}  // namespace

std::vector<Range> slab_rows(std::int64_t width, std::int64_t most_rows) {
  io::check(width > 0 && most_rows > 0, "slabs of a layer without rows");
  const std::int64_t count = (width + most_rows - 1) / most_rows;
  std::vector<Range> rows;
  for (std::int64_t i = 0; i < count; ++i) rows.push_back({width * i / count, width * (i + 1) / count});
  return rows;
}

std::vector<Slab> slabs_of(std::size_t layers, std::int64_t width, std::int64_t most_rows) {
  std::vector<Slab> slabs;
  for (std::size_t layer = 0; layer < layers; ++layer) {
    for (const Range& rows : slab_rows(width, most_rows)) slabs.push_back({.layer = layer, .rows = rows});
  }
  return slabs;
}

std::optional<std::vector<std::int64_t>> slab_capacities(std::int64_t slabs, std::span<const std::int64_t> room) {
  const auto with_at_most = [&](std::int64_t most) {
    std::vector<std::int64_t> capacities;
    for (const std::int64_t places : room) capacities.push_back(std::clamp<std::int64_t>(places, 0, most));
    return capacities;
  };
  for (std::int64_t most = 0; most <= slabs; ++most) {
    auto capacities = with_at_most(most);
    if (std::accumulate(capacities.begin(), capacities.end(), std::int64_t{0}) >= slabs) return capacities;
  }
  return std::nullopt;
}

std::vector<int> deal_slabs(std::span<const std::int64_t> costs, std::span<const std::int64_t> capacities) {
  return balanced(costs, capacities, {});
}

std::vector<int> redeal_slabs(std::span<const std::int64_t> costs, std::span<const std::int64_t> capacities,
                              std::span<const int> owner_of, double tolerance) {
  io::check(owner_of.size() == costs.size(), "one owner a slab");
  std::vector<int> rebalanced = balanced(costs, capacities, owner_of);
  const auto before = static_cast<double>(fullest(costs, owner_of, capacities.size()));
  if (static_cast<double>(fullest(costs, rebalanced, capacities.size())) < (1 - tolerance) * before)
    return rebalanced;
  return {owner_of.begin(), owner_of.end()};
}

std::vector<SlabMove> slab_moves(std::span<const int> from, std::span<const int> to,
                                 std::span<const std::int64_t> capacities) {
  io::check(from.size() == to.size(), "two dealings of the same slabs");
  std::vector<std::int64_t> held(capacities.size());
  std::vector<SlabMove> waiting, moves;
  for (std::size_t slab = 0; slab < from.size(); ++slab) {
    ++held[static_cast<std::size_t>(from[slab])];
    if (from[slab] != to[slab]) waiting.push_back({.slab = slab, .from = from[slab], .to = to[slab]});
  }
  while (!waiting.empty()) {
    auto next = std::ranges::find_if(waiting, [&](const SlabMove& move) {
      const auto receiver = static_cast<std::size_t>(move.to);
      return held[receiver] < capacities[receiver];
    });
    if (next == waiting.end()) next = waiting.begin();
    --held[static_cast<std::size_t>(next->from)];
    ++held[static_cast<std::size_t>(next->to)];
    moves.push_back(*next);
    waiting.erase(next);
  }
  return moves;
}

}  // namespace anchorage::sharding
