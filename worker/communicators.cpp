#include "worker/communicators.hpp"

namespace anchorage::worker {
namespace {

std::vector<sharding::Range> groups_of(int rank, const sharding::EditGroups& groups) {
  const sharding::Range own = groups.groups_of_replica(rank);
  std::vector<sharding::Range> ranges;
  for (std::int64_t group = own.begin; group < own.end; ++group) ranges.push_back(groups.edits_of_group(group));
  return ranges;
}

}  // namespace

std::vector<sharding::Range> own_groups(const Communicators& ranks, std::int64_t count, std::int64_t group_size) {
  return groups_of(ranks.rank(), {count, group_size, ranks.size()});
}

std::vector<std::int64_t> items_by_rank(const Communicators& ranks, std::int64_t count, std::int64_t group_size) {
  return items_by_rank(ranks, count, group_size, [](std::int64_t) { return true; });
}

std::vector<std::int64_t> items_by_rank(const Communicators& ranks, std::int64_t count, std::int64_t group_size,
                                        const std::function<bool(std::int64_t item)>& counts) {
  const sharding::EditGroups groups(count, group_size, ranks.size());
  std::vector<std::int64_t> items(static_cast<std::size_t>(ranks.size()));
  for (int rank = 0; rank < ranks.size(); ++rank) {
    for (const sharding::Range& range : groups_of(rank, groups)) {
      for (std::int64_t item = range.begin; item < range.end; ++item)
        items[static_cast<std::size_t>(rank)] += counts(item) ? 1 : 0;
    }
  }
  return items;
}

}  // namespace anchorage::worker
