#include "coordinator/planner.hpp"

#include <algorithm>
#include <optional>
#include <utility>

#include "coordinator/arrangement.hpp"
#include "coordinator/plan_refusal.hpp"
#include "io/error.hpp"
#include "sharding/edit_groups.hpp"

namespace anchorage::coordinator {
namespace {

using sharding::Topology;

constexpr double near_tie = 0.02;

std::vector<std::int64_t> slabs_of(const std::vector<RankPlan>& ranks) {
  std::vector<std::int64_t> slabs;
  for (const RankPlan& rank : ranks) slabs.push_back(rank.slabs);
  return slabs;
}

// Returns how many groups' caches each replica can keep for later: what they take is at most half of the memory
// that remains on the fullest rank, and no more than the rank's weights, since ranks on CPUs have no limit of their
// own.
std::int64_t groups_to_keep(const PlanRequest& request, const Topology& topology, const Arrangement& arrangement) {
  if (!request.workload.keeps_groups()) return 0;
  const RankMemory memory(request.workload, request.machine, topology.stages(), topology.replicas());
  double kept = static_cast<double>(memory.groups());
  for (int rank = 0; rank < topology.size(); ++rank) {
    const int stage = topology.place_of(rank).stage;
    const auto& layers = arrangement.stages[static_cast<std::size_t>(stage)];
    const RankBytes bytes = memory.bytes(stage, layers, arrangement.slabs[static_cast<std::size_t>(rank)]);
    const double room = std::min((request.machine.memory_bytes - static_cast<double>(bytes.total())) / 2,
                                 static_cast<double>(bytes.weights));
    kept = std::min(kept, room / static_cast<double>(std::max<std::int64_t>(1, memory.cache_bytes(layers))));
  }
  return static_cast<std::int64_t>(std::max(0.0, kept));
}

Plan plan_of(const PlanRequest& request, const Topology& topology, const Arrangement& arrangement) {
  Workload workload = request.workload;
  workload.kept_groups = groups_to_keep(request, topology, arrangement);
  const StageCosts costs(workload, request.machine);
  const SlabCosts slabs(workload, request.machine, arrangement.slabs);
  const RankMemory memory(workload, request.machine, topology.stages(), topology.replicas());
  const BatchSchedule schedule = schedule_batch(
      {.workload = workload, .costs = costs, .slabs = slabs, .topology = topology, .stages = arrangement.stages});
  const sharding::EditGroups groups(workload.batch, costs.tokens().edits, topology.replicas());
  Plan plan{.topology = topology,
            .stages = arrangement.stages,
            .ranks = {},
            .group = costs.tokens().edits,
            .groups_in_flight = sharding::groups_in_flight(groups.groups_of_replica(topology.replicas() - 1).size(),
                                                           topology.stages()),
            .kept_groups = workload.kept_groups,
            .seconds = schedule.seconds,
            .inverse_seconds = slabs.first_inverses() + slabs.eigenvectors()};
  for (int rank = 0; rank < topology.size(); ++rank) {
    const auto at = static_cast<std::size_t>(rank);
    const sharding::Place place = topology.place_of(rank);
    const auto& layers = plan.stages[static_cast<std::size_t>(place.stage)];
    plan.ranks.push_back({.place = place,
                          .layers = layers,
                          .slabs = arrangement.slabs[at],
                          .bytes = memory.bytes(place.stage, layers, arrangement.slabs[at]),
                          .busy = schedule.busy[at]});
  }
  return plan;
}

std::optional<Plan> plan_with(const PlanRequest& request, int stages) {
  const Topology topology(stages, request.ranks / stages);
  const auto arrangement = arrange(request.workload, request.machine, topology, request.machine.memory_bytes);
  if (!arrangement) return std::nullopt;
  return plan_of(request, topology, *arrangement);
}

std::optional<Plan> fastest_plan(const PlanRequest& request) {
  std::vector<Plan> plans;  // by number of stages
  for (int stages = 1; stages <= most_stages(request); ++stages) {
    if (request.ranks % stages != 0) continue;
    if (auto plan = plan_with(request, stages)) plans.push_back(std::move(*plan));
  }
  if (plans.empty()) return std::nullopt;
  const auto seconds = [](const Plan& plan) { return plan.seconds.total(); };
  const double fastest = seconds(*std::ranges::min_element(plans, {}, seconds));
  return *std::ranges::find_if(plans, [&](const Plan& plan) { return seconds(plan) <= (1 + near_tie) * fastest; });
}

}  // namespace

std::optional<Plan> find_plan(const PlanRequest& request) {
  if (request.stages == 0) return fastest_plan(request);
  if (request.stages > most_stages(request) || request.ranks % request.stages != 0) return std::nullopt;
  return plan_with(request, request.stages);
}

Plan plan_ranks(const PlanRequest& request) {
  if (request.stages > 0) check_stages(request);
  if (auto plan = find_plan(request)) return std::move(*plan);
  if (request.stages == 0) refuse_ranks(request);
  refuse_memory(request, request.stages);
}

std::vector<RankBox> trace_of(const Plan& plan, const PlanRequest& request) {
  constexpr std::int64_t most_boxes = 1'000'000;
  Workload workload = request.workload;
  workload.kept_groups = plan.kept_groups;
  const StageCosts costs(workload, request.machine);
  const SlabCosts slabs(workload, request.machine, slabs_of(plan.ranks));
  const BatchShape shape{
      .workload = workload, .costs = costs, .slabs = slabs, .topology = plan.topology, .stages = plan.stages};
  if (const std::int64_t boxes = count_boxes(shape); boxes > most_boxes) {
    throw io::UserError({.expected = "a trace of at most 1,000,000 boxes",
                         .found = "about " + std::to_string(boxes),
                         .where = "--trace",
                         .remedy = "take a smaller --batch"});
  }
  return schedule_batch(shape, Boxes::recorded).boxes;
}

double seconds_of_one_rank(const PlanRequest& request) {
  PlanRequest one = request;
  one.ranks = one.stages = 1;
  one.machine.memory_bytes = 1e18;
  return plan_ranks(one).seconds.total();
}

double efficiency_of(const Plan& plan, double of_one_rank) {
  return of_one_rank / (plan.topology.size() * plan.seconds.total());
}

}  // namespace anchorage::coordinator
