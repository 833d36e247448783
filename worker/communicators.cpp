#include "worker/communicators.hpp"

namespace anchorage::worker {

std::vector<sharding::Range> own_groups(const Communicators& ranks, std::int64_t count, std::int64_t group_size) {
  const sharding::EditGroups groups(count, group_size, ranks.size());
  const sharding::Range own = groups.groups_of_replica(ranks.rank());
  std::vector<sharding::Range> ranges;
  for (std::int64_t group = own.begin; group < own.end; ++group) ranges.push_back(groups.edits_of_group(group));
  return ranges;
}

}  // namespace anchorage::worker
