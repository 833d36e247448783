#include "sharding/edit_groups.hpp"

#include <fmt/format.h>

#include <algorithm>

#include "io/error.hpp"

namespace anchorage::sharding {

namespace {

// A layer has about 12 width^2 weights. On a GPU a layer should work for about 2 ms, 300 Gflop (assumed, not
// measured): in less time, starting kernels would dominate; more would leave a replica's other stages without
// a group. On a CPU the figures are measured (docs/hparams.md): larger steps are no faster, and leave other
// replicas and stages without a group.
std::int64_t tokens_per_step(const StepArithmetic& step) {
  if (step.on_gpu) return std::clamp<std::int64_t>(300'000'000'000 / (24 * step.width * step.width), 512, 8192);
  return step.weight_bytes < 4 ? 512 : 256;
}

}  // namespace

std::int64_t edits_per_group(int asked, int contexts, const StepArithmetic& step) {
  if (asked > 0) return asked;
  return std::clamp<std::int64_t>(tokens_per_step(step) / (typical_suffix_tokens * (contexts + 1)), 1, 128);
}

std::int64_t groups_in_flight(std::int64_t groups, int stages) {
  if (stages == 1) return std::min<std::int64_t>(groups, 1);
  const std::int64_t windows = std::max<std::int64_t>(1, (groups + stages) / (2 * stages));
  return (groups + windows - 1) / windows;
}

EditGroups::EditGroups(std::int64_t edits, std::int64_t group_size, int replicas)
    : edits_(edits), group_size_(group_size), replicas_(replicas) {
  io::check(edits >= 0 && group_size > 0 && replicas > 0,
            fmt::format("{} edits in groups of {} over {} replicas", edits, group_size, replicas));
}

std::int64_t EditGroups::count() const {
  return (edits_ + group_size_ - 1) / group_size_;
}

Range EditGroups::edits_of_group(std::int64_t group) const {
  io::check(group >= 0 && group < count(), fmt::format("group {} of {}", group, count()));
  return {.begin = group * group_size_, .end = std::min((group + 1) * group_size_, edits_)};
}

// The first `replicas - count % replicas` replicas have floor(count / replicas) groups, the rest one more.
Range EditGroups::groups_of_replica(int replica) const {
  io::check(replica >= 0 && replica < replicas_, fmt::format("replica {} of {}", replica, replicas_));
  const std::int64_t fewer = count() / replicas_;
  const std::int64_t first_with_more = replicas_ - count() % replicas_;
  const std::int64_t begin = replica * fewer + std::max<std::int64_t>(0, replica - first_with_more);
  return {.begin = begin, .end = begin + fewer + (replica >= first_with_more ? 1 : 0)};
}

}  // namespace anchorage::sharding
