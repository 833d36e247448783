#include "coordinator/plan_advice.hpp"

#include <fmt/format.h>

#include <algorithm>
#include <optional>

#include "sharding/edit_groups.hpp"

namespace anchorage::coordinator {
namespace {

constexpr double worth_saying = 0.05;
// Kernels of fewer tokens than this would not be as fast as the plan takes them to be.
constexpr std::int64_t least_step_tokens = 128;

double seconds_per_edit(const Plan& plan, const PlanRequest& request) {
  return plan.seconds.total() / static_cast<double>(request.workload.batch);
}

std::string gain(double before, double after) {
  return fmt::format("{:.3g} s per edit, {:.0f} % less", after, 100 * (1 - after / before));
}

// Takes a larger batch where it gains enough over the smaller ones.
std::optional<std::string> larger_batch(const PlanRequest& request, double now) {
  PlanRequest other = request;
  std::int64_t best_batch = 0;
  double best = now;
  for (const std::int64_t times : {2, 4, 8}) {
    other.workload.batch = times * request.workload.batch;
    const auto plan = find_plan(other);
    if (!plan) break;
    if (seconds_per_edit(*plan, other) > (1 - worth_saying) * best) continue;
    best = seconds_per_edit(*plan, other);
    best_batch = other.workload.batch;
  }
  if (best_batch == 0) return std::nullopt;
  return fmt::format("a --batch of {}: {}", best_batch, gain(now, best));
}

std::optional<std::string> smaller_groups(const Plan& plan, const PlanRequest& request, double now) {
  PlanRequest other = request;
  std::int64_t best_group = 0;
  double best = now;
  for (std::int64_t group = plan.group / 2; group > 0; group /= 2) {
    other.workload.hparams.group = static_cast<int>(group);
    if (group_tokens(other.workload, other.machine).steps < least_step_tokens) break;
    const auto with = find_plan(other);
    if (!with || seconds_per_edit(*with, other) > (1 - worth_saying) * best) continue;
    best = seconds_per_edit(*with, other);
    best_group = group;
  }
  if (best_group == 0) return std::nullopt;
  return fmt::format("'group: {}' in the hyper-parameters: {}, where shorter steps are as fast", best_group,
                     gain(now, best));
}

std::optional<std::string> other_stages(const PlanRequest& request, double now) {
  if (request.stages == 0) return std::nullopt;
  PlanRequest other = request;
  other.stages = 0;
  const auto plan = find_plan(other);
  if (!plan || seconds_per_edit(*plan, other) > (1 - worth_saying) * now) return std::nullopt;
  return fmt::format("{} stages instead of {}: {}", plan->topology.stages(), request.stages,
                     gain(now, seconds_per_edit(*plan, other)));
}

}  // namespace

std::int64_t idle_replicas(const Plan& plan, const PlanRequest& request) {
  const int replicas = plan.topology.replicas();
  const sharding::EditGroups groups(request.workload.batch, plan.group, replicas);
  return std::max<std::int64_t>(0, replicas - groups.count());
}

std::vector<std::string> advice_for(const Plan& plan, const PlanRequest& request) {
  std::vector<std::string> advice;
  if (request.workload.edited_layers() == 0) return advice;
  if (const std::int64_t idle = idle_replicas(plan, request); idle > 0) {
    advice.push_back(fmt::format(
        "{} of {} replicas get no group of edits: a smaller 'group' or a larger --batch gives them work", idle,
        plan.topology.replicas()));
  }
  const double now = seconds_per_edit(plan, request);
  for (auto& found : {other_stages(request, now), larger_batch(request, now), smaller_groups(plan, request, now)}) {
    if (found) advice.push_back("faster: " + *found);
  }
  return advice;
}

}  // namespace anchorage::coordinator
