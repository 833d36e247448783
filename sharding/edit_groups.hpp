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

// Tokens of a row from its subject's last one on, as they usually are: the rest of the prompt and the target.
inline constexpr std::int64_t typical_suffix_tokens = 8;

// What decides, beside the hyper-parameters, how many tokens a step needs.
struct StepArithmetic {
  bool on_gpu = false;
  std::int64_t width = 0;         // d_model
  std::int64_t weight_bytes = 4;  // of one weight, as loaded
};

// Edits a group. Where `asked` is 0, as many as fill the machine with one step's tokens: `contexts` + 1 rows an
// edit; a GPU the sooner, the wider the model, a CPU the sooner, the longer its weights. It follows from model,
// hyper-parameters and the kind of device alone, never from the number of ranks.
[[nodiscard]] std::int64_t edits_per_group(int asked, int contexts, const StepArithmetic& step);

// Groups that a replica has in flight at the same time: two a stage keep its stages at work most of the time. One
// after the other where there is one stage, for the caches' sake.
[[nodiscard]] std::int64_t groups_in_flight(int stages);

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

 private:
  std::int64_t edits_;
  std::int64_t group_size_;
  int replicas_;
};

}  // namespace anchorage::sharding
