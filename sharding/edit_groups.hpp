// Divides a batch's edits into groups, and the groups over replicas.
//
// A group is a fixed number of consecutive edits and the unit of computation: padded, run and compacted by rules
// that see the group alone, so its results are the same whichever replica runs it (docs/architecture.md, "Same
// bits"). Each replica gets consecutive groups, so the replicas' results, concatenated in order, are in the
// order of the batch's edits.
#pragma once

#include <cstdint>

#include "sharding/range.hpp"

namespace anchorage::sharding {

// The typical number of tokens of a row from its subject's last one on: the rest of the prompt and the
// target.
inline constexpr std::int64_t typical_suffix_tokens = 8;

// What determines, besides the hyper-parameters, how many tokens a step needs.
struct StepArithmetic {
  bool on_gpu = false;
  std::int64_t width = 0;         // d_model
  std::int64_t weight_bytes = 4;  // per weight, as loaded
};

// Returns the edits per group: `asked`, or where that is 0, as many as fill the machine with one step's
// tokens (`contexts` + 1 rows per edit). A wider model fills a GPU with fewer tokens, longer weights fill a
// CPU with fewer. The result depends only on model, hyper-parameters and the kind of device, never on the
// number of ranks.
[[nodiscard]] std::int64_t edits_per_group(int asked, int contexts, const StepArithmetic& step);

// Returns the number of groups that a replica of `groups` groups has in flight at a time
// (sharding/stage_turns.hpp). With one stage, one, to save memory for the caches. With several, about two a stage,
// at least one and less than three: one keeps all stages at work in the steps, and the second halves what they wait
// while the next groups' caches are filled. As many as make the windows in which the groups go through even, since
// stages rest in a window of few. All of them where they are fewer than that.
[[nodiscard]] std::int64_t groups_in_flight(std::int64_t groups, int stages);

class EditGroups {
 public:
  // Throws InternalError unless `edits` >= 0, `group_size` >= 1 and `replicas` >= 1. The group size comes
  // from the model and the kind of machine, never from the number of replicas. The last group may be short.
  EditGroups(std::int64_t edits, std::int64_t group_size, int replicas);

  [[nodiscard]] std::int64_t count() const;
  [[nodiscard]] Range edits_of_group(std::int64_t group) const;

  // Balances the groups: their numbers differ by at most one, and earlier replicas never have more than later
  // ones, since the last replica has the short group. Empty for some replicas where there are more replicas
  // than groups.
  [[nodiscard]] Range groups_of_replica(int replica) const;

 private:
  std::int64_t edits_;
  std::int64_t group_size_;
  int replicas_;
};

}  // namespace anchorage::sharding
