#include "coordinator/plan_refusal.hpp"

#include <fmt/format.h>

#include <algorithm>
#include <cmath>
#include <optional>
#include <utility>

#include "coordinator/arrangement.hpp"
#include "io/error.hpp"

namespace anchorage::coordinator {
namespace {

bool fits(const PlanRequest& request, int stages, int replicas, double memory_bytes) {
  return can_arrange(request.workload, request.machine, {stages, replicas}, memory_bytes);
}

// Rounds up, so that the stated memory suffices.
std::string gigabytes(double bytes) {
  return fmt::format("{:.1f} GB", std::ceil(bytes / 1e8) / 10);
}

// Returns the fewest stages, at most `most`, that fit in `replicas_of(stages)` replicas; skips numbers of stages
// for which that is 0.
template <class ReplicasOf>
std::optional<int> fewest_stages(const PlanRequest& request, int most, ReplicasOf replicas_of) {
  for (int stages = 1; stages <= most; ++stages) {
    const int replicas = replicas_of(stages);
    if (replicas > 0 && fits(request, stages, replicas, request.machine.memory_bytes)) return stages;
  }
  return std::nullopt;
}

// Returns the least bytes that a rank needs when the ranks are divided into this many stages.
double needed_memory(const PlanRequest& request, int stages, int replicas) {
  double too_little = 0, enough = 1e9;
  while (!fits(request, stages, replicas, enough)) too_little = std::exchange(enough, 2 * enough);
  while (enough - too_little > 1e7) {
    const double middle = (too_little + enough) / 2;
    (fits(request, stages, replicas, middle) ? enough : too_little) = middle;
  }
  return enough;
}

// Stages that fit one replica fit several, which share the slabs and have fewer groups each.
std::optional<int> fewest_for_one_replica(const PlanRequest& request) {
  return fewest_stages(request, static_cast<int>(request.workload.model.layers), [](int) { return 1; });
}

[[noreturn]] void refuse_division(const PlanRequest& request, int stages) {
  const int replicas = request.ranks / stages;
  throw io::UserError({.expected = fmt::format("a multiple of {} ranks, for replicas of {} stages", stages, stages),
                       .found = std::to_string(request.ranks),
                       .where = request.ranks_from,
                       .remedy = fmt::format("take {} or {} ranks", replicas * stages, (replicas + 1) * stages)});
}

}  // namespace

int most_stages(const PlanRequest& request) {
  return static_cast<int>(std::min<std::int64_t>(request.ranks, request.workload.model.layers));
}

void refuse_memory(const PlanRequest& request, int stages) {
  const double needed = needed_memory(request, stages, request.ranks / stages);
  std::string remedy = fmt::format("take ranks of {}", gigabytes(needed));
  PlanRequest smaller = request;
  smaller.workload.hparams.group = 1;
  if (const auto enough = fewest_for_one_replica(request)) {
    remedy += fmt::format(", or {} stages: {} ranks or a multiple of it", *enough, *enough);
  } else if (const auto with_single_edits = fewest_for_one_replica(smaller)) {
    remedy += fmt::format(
        ", or groups of one edit ('group: 1' in the hyper-parameters) in {} stages: {} ranks or a "
        "multiple of it",
        *with_single_edits, *with_single_edits);
  }
  throw io::UserError({.expected = fmt::format("{} a rank for {} stages x {} replicas", gigabytes(needed), stages,
                                               request.ranks / stages),
                       .found = fmt::format("{:.1f} GB", std::floor(request.machine.memory_bytes / 1e8) / 10),
                       .where = fmt::format("{} {}", request.ranks_from, request.ranks),
                       .remedy = remedy});
}

void refuse_ranks(const PlanRequest& request) {
  const int ranks = request.ranks, most = most_stages(request);
  if (const auto stages = fewest_stages(request, most, [ranks](int count) { return ranks / count; }))
    refuse_division(request, *stages);
  int divisor = most;  // the most stages that divide the ranks
  while (ranks % divisor != 0) --divisor;
  refuse_memory(request, divisor);
}

void check_stages(const PlanRequest& request) {
  const int ranks = request.ranks, most = most_stages(request);
  if (request.stages > most) {
    throw io::UserError({.expected = fmt::format("at most {} stages, for {} layers on {} ranks", most,
                                                 request.workload.model.layers, ranks),
                         .found = std::to_string(request.stages),
                         .where = "--stages",
                         .remedy = ""});
  }
  if (ranks % request.stages == 0) return;
  if (!fits(request, request.stages, ranks / request.stages, request.machine.memory_bytes))
    refuse_memory(request, request.stages);
  refuse_division(request, request.stages);
}

}  // namespace anchorage::coordinator
