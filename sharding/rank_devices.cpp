#include "sharding/rank_devices.hpp"

#include <fmt/format.h>

#include <algorithm>
#include <map>
#include <utility>

#include "io/error.hpp"

namespace anchorage::sharding {

void check_rank_devices(std::span<const RankDevice> ranks) {
  const auto on_cpu = [](const RankDevice& rank) { return rank.gpu.empty(); };
  const auto without = std::ranges::count_if(ranks, on_cpu);
  if (without == std::ssize(ranks)) return;
  if (without > 0) {
    const auto first = std::ranges::find_if(ranks, on_cpu);
    throw io::UserError({.expected = "a GPU on every rank, or on none",
                         .found = fmt::format("none on {} of {} ranks, rank {} the first", without, ranks.size(),
                                              first - ranks.begin()),
                         .where = first->machine,
                         .remedy = "check the driver there with nvidia-smi, or run with --device cpu"});
  }
  std::map<std::pair<std::string, std::string>, std::size_t> owners;
  for (std::size_t rank = 0; rank < ranks.size(); ++rank) {
    const auto [owner, first] = owners.try_emplace({ranks[rank].machine, ranks[rank].gpu}, rank);
    if (first) continue;
    throw io::UserError({.expected = "a GPU for each rank",
                         .found = fmt::format("ranks {} and {} on GPU {}", owner->second, rank, ranks[rank].gpu),
                         .where = ranks[rank].machine,
                         .remedy = "start no more ranks on a machine than it has GPUs, or run with --device cpu"});
  }
}

}  // namespace anchorage::sharding
