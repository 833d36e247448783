// A batch's edits in groups, and the groups over replicas.
//
// A group is a fixed number of consecutive edits and the unit of computation: padded, run and compacted by rules
// that see the group alone, so its results are the same whichever replica runs it (docs/architecture.md, "Same
// bits"). Each replica gets consecutive groups: what the replicas computed, put together in their order, is in the
// order of the batch's edits.
#pragma once

#include <cstdint>

#include "sharding/range.hpp"

namespace anchorage::sharding {

class EditGroups {
 public:
  // `edits` >= 0, `group_size` >= 1, `replicas` >= 1, or InternalError. The group size comes from the model and the
  // machine's kind, never from the number of replicas. The last group may be short.
  EditGroups(std::int64_t edits, std::int64_t group_size, int replicas);

  [[nodiscard]] std::int64_t count() const;
  [[nodiscard]] Range edits_of_group(std::int64_t group) const;

  // Balanced: numbers of groups differ by at most one, and earlier replicas never have more than later ones, since
  // the short group is the last replica's. Empty for some where there are more replicas than groups.
  [[nodiscard]] Range groups_of_replica(int replica) const;
  [[nodiscard]] Range edits_of_replica(int replica) const;
  [[nodiscard]] int replica_of_group(std::int64_t group) const;

 private:
  std::int64_t edits_;
  std::int64_t group_size_;
  int replicas_;
};

}  // namespace anchorage::sharding
