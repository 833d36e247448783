#include "coordinator/planner.hpp"

#include <fmt/format.h>

#include <algorithm>
#include <cmath>
#include <limits>
#include <optional>
#include <utility>

#include "io/error.hpp"
#include "sharding/layer_owners.hpp"
#include "sharding/layer_partition.hpp"

namespace anchorage::coordinator {
namespace {

using sharding::Range;

// Rounds up, so that the stated memory suffices.
std::string gigabytes(double bytes) {
  return fmt::format("{:.1f} GB", std::ceil(bytes / 1e8) / 10);
}

// Seconds are accurate to about a fifth; memory decides between cuts that differ by less.
constexpr double slack = 0.2;

std::optional<std::vector<Range>> cut(const PlanRequest& request, int stages, int replicas, double memory) {
  const StageCosts costs(request.workload, request.machine, stages, replicas);
  const auto cost = [&](Range layers) {
    const double seconds = costs.values_seconds(layers) + costs.scoring_seconds(layers);
    return sharding::StageCost{.bytes = costs.fullest(layers).total(), .work = std::llround(1e9 * seconds)};
  };
  return sharding::layer_partition(request.workload.model.layers, stages, cost, std::llround(memory), slack);
}

int most_stages(const PlanRequest& request, int ranks) {
  return static_cast<int>(std::min<std::int64_t>(ranks, request.workload.model.layers));
}

// Returns the fewest stages, at most `most`, that fit in `replicas_of(stages)` replicas; skips numbers of
// stages for which that is 0.
template <class ReplicasOf>
std::optional<int> fewest_stages(const PlanRequest& request, int most, ReplicasOf replicas_of) {
  for (int stages = 1; stages <= most; ++stages) {
    const int replicas = replicas_of(stages);
    if (replicas > 0 && cut(request, stages, replicas, request.machine.memory_bytes)) return stages;
  }
  return std::nullopt;
}

// Returns the least bytes that a rank needs when the ranks are divided into this many stages.
double needed_memory(const PlanRequest& request, int stages, int replicas) {
  double too_little = 0, enough = 1e9;
  while (!cut(request, stages, replicas, enough)) too_little = std::exchange(enough, 2 * enough);
  while (enough - too_little > 1e7) {
    const double middle = (too_little + enough) / 2;
    (cut(request, stages, replicas, middle) ? enough : too_little) = middle;
  }
  return enough;
}

// Stages that fit one replica fit several, which share what a stage owns and computes.
std::optional<int> fewest_for_one_replica(const PlanRequest& request) {
  return fewest_stages(request, static_cast<int>(request.workload.model.layers), [](int) { return 1; });
}

[[noreturn]] void refuse_memory(const PlanRequest& request, int stages) {
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

[[noreturn]] void refuse_division(const PlanRequest& request, int stages) {
  const int replicas = request.ranks / stages;
  throw io::UserError({.expected = fmt::format("a multiple of {} ranks, for replicas of {} stages", stages, stages),
                       .found = std::to_string(request.ranks),
                       .where = request.ranks_from,
                       .remedy = fmt::format("take {} or {} ranks", replicas * stages, (replicas + 1) * stages)});
}

// Returns the requested number of stages, checked; without a request, the fewest that fit.
int chosen_stages(const PlanRequest& request) {
  const int ranks = request.ranks, most = most_stages(request, ranks);
  if (request.stages == 0) {
    const auto whole = [ranks](int count) { return ranks % count == 0 ? ranks / count : 0; };
    if (const auto stages = fewest_stages(request, most, whole)) return *stages;
    const auto any = [ranks](int count) { return ranks / count; };
    if (const auto stages = fewest_stages(request, most, any)) refuse_division(request, *stages);
    int divisor = most;  // the most stages that divide the ranks
    while (ranks % divisor != 0) --divisor;
    refuse_memory(request, divisor);
  }
  if (request.stages > most) {
    throw io::UserError({.expected = fmt::format("at most {} stages, for {} layers on {} ranks", most,
                                                 request.workload.model.layers, ranks),
                         .found = std::to_string(request.stages),
                         .where = "--stages",
                         .remedy = ""});
  }
  if (ranks % request.stages != 0) {
    if (!cut(request, request.stages, ranks / request.stages, request.machine.memory_bytes))
      refuse_memory(request, request.stages);
    refuse_division(request, request.stages);
  }
  return request.stages;
}

// Returns the world ranks of the edited layers' owners: the replicas share the edited layers of a stage.
std::map<int, int> owners_of(const PlanRequest& request, const Plan& plan) {
  std::map<int, int> owners;
  for (std::size_t stage = 0; stage < plan.stages.size(); ++stage) {
    std::vector<int> edited;
    std::ranges::copy_if(request.workload.hparams.layers, std::back_inserter(edited),
                         [&](int layer) { return plan.stages[stage].contains(layer); });
    const auto owner_of =
        sharding::layer_owners(std::vector<std::int64_t>(edited.size(), 1), plan.topology.replicas());
    for (std::size_t i = 0; i < edited.size(); ++i) {
      owners[edited[i]] = plan.topology.rank_of({.stage = static_cast<int>(stage), .replica = owner_of[i]});
    }
  }
  return owners;
}

// A replica's stages work on different groups at the same time; the pipeline fills and empties once a window of
// groups in flight.
PlanSeconds seconds_of(const StageCosts& costs, const Plan& plan) {
  PlanSeconds seconds{.solve = costs.solve_in_turn_seconds(), .communicate = costs.link_seconds()};
  double slowest = 0;
  for (const Range& layers : plan.stages) {
    slowest = std::max(slowest, costs.values_seconds(layers));
    seconds.evaluate += costs.scoring_seconds(layers) * static_cast<double>(costs.groups_per_replica()) +
                        costs.probe_seconds(layers);
  }
  const std::int64_t windows =
      (costs.groups_per_replica() + costs.groups_in_flight() - 1) / costs.groups_in_flight();
  const std::int64_t turns = costs.groups_per_replica() + windows * (plan.topology.stages() - 1);
  seconds.values = slowest * static_cast<double>(turns);
  std::int64_t most_owned = 0;
  for (const RankPlan& rank : plan.ranks) most_owned = std::max(most_owned, std::ssize(rank.owns));
  seconds.solve += costs.solve_at_once_seconds(most_owned);
  return seconds;
}

}  // namespace

Plan plan_ranks(const PlanRequest& request) {
  const int stages = chosen_stages(request), replicas = request.ranks / stages;
  auto layers = cut(request, stages, replicas, request.machine.memory_bytes);
  if (!layers) refuse_memory(request, stages);
  const StageCosts costs(request.workload, request.machine, stages, replicas);
  Plan plan{.topology = sharding::Topology(stages, replicas),
            .stages = std::move(*layers),
            .ranks = {},
            .group = costs.group(),
            .groups_in_flight = costs.groups_in_flight(),
            .seconds = {}};
  const auto owners = owners_of(request, plan);
  for (int rank = 0; rank < request.ranks; ++rank) {
    const sharding::Place place = plan.topology.place_of(rank);
    RankPlan own{
        .place = place, .layers = plan.stages[static_cast<std::size_t>(place.stage)], .owns = {}, .bytes = {}};
    for (const auto& [layer, owner] : owners) {
      if (owner == rank) own.owns.push_back(layer);
    }
    own.bytes = costs.bytes(own.layers, std::ssize(own.owns));
    plan.ranks.push_back(std::move(own));
  }
  plan.seconds = seconds_of(costs, plan);
  return plan;
}

}  // namespace anchorage::coordinator
