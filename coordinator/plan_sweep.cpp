#include "coordinator/plan_sweep.hpp"

#include <algorithm>
#include <cmath>
#include <map>
#include <set>

#include "io/error.hpp"

namespace anchorage::coordinator {
namespace {

SweepRow row_of(const Plan& plan, const PlanRequest& request, double of_one_rank) {
  SweepRow row{.ranks = request.ranks,
               .batch = request.workload.batch,
               .stages = plan.topology.stages(),
               .replicas = plan.topology.replicas(),
               .seconds_per_batch = plan.seconds.total(),
               .inverse_seconds = plan.inverse_seconds,
               .refusal = {}};
  for (const RankPlan& rank : plan.ranks) row.fullest_bytes = std::max(row.fullest_bytes, rank.bytes.total());
  row.efficiency = efficiency_of(plan, of_one_rank);
  return row;
}

// Returns the message of a plan that is refused.
std::string refusal_of(const PlanRequest& request) {
  try {
    (void)plan_ranks(request);
  } catch (const io::UserError& error) {
    return error.what();
  }
  return {};
}

std::vector<std::int64_t> batches_for(const PlanRequest& request, std::int64_t edits) {
  PlanRequest whole = request;
  whole.workload.batch = edits;
  const std::int64_t group = group_tokens(whole.workload, whole.machine).edits;
  std::set<std::int64_t> batches;
  for (const std::int64_t groups : {1, 2, 4, 8}) batches.insert(std::min(edits, groups * group * request.ranks));
  return {batches.begin(), batches.end()};
}

}  // namespace

std::vector<SweepRow> sweep(const PlanRequest& request, std::span<const int> ranks,
                            std::span<const std::int64_t> batches) {
  std::vector<SweepRow> rows;
  PlanRequest one = request;
  std::map<std::int64_t, double> of_one_rank;  // by batch
  for (const int count : ranks) {
    for (const std::int64_t batch : batches) {
      one.ranks = count;
      one.workload.batch = batch;
      if (!of_one_rank.contains(batch)) of_one_rank[batch] = seconds_of_one_rank(one);
      const auto plan = find_plan(one);
      rows.push_back(plan ? row_of(*plan, one, of_one_rank.at(batch))
                          : SweepRow{.ranks = count, .batch = batch, .refusal = refusal_of(one)});
    }
  }
  return rows;
}

double seconds_of(const SweepRow& row, std::int64_t edits) {
  return row.inverse_seconds +
         row.seconds_per_batch * std::ceil(static_cast<double>(edits) / static_cast<double>(row.batch));
}

std::optional<SweepRow> smallest_machine(const PlanRequest& request, const Night& night,
                                         std::span<const std::int64_t> batches) {
  PlanRequest one = request;
  for (one.ranks = 1; one.ranks <= most_night_ranks; one.ranks += one.ranks < 16 ? 1 : 8) {
    const std::vector<std::int64_t> tried =
        batches.empty() ? batches_for(one, night.edits) : std::vector(batches.begin(), batches.end());
    std::optional<SweepRow> fastest;
    for (const std::int64_t batch : tried) {
      one.workload.batch = std::min(batch, night.edits);
      // No arrangement is faster than so many ranks that lose nothing.
      const double of_one_rank = seconds_of_one_rank(one);
      const double least =
          of_one_rank / one.ranks * static_cast<double>(night.edits) / static_cast<double>(one.workload.batch);
      if (least > 3600 * night.hours) continue;
      const auto plan = find_plan(one);
      if (!plan) continue;
      const SweepRow row = row_of(*plan, one, of_one_rank);
      if (!fastest || seconds_of(row, night.edits) < seconds_of(*fastest, night.edits)) fastest = row;
    }
    if (fastest && seconds_of(*fastest, night.edits) <= 3600 * night.hours) return fastest;
  }
  return std::nullopt;
}

}  // namespace anchorage::coordinator
