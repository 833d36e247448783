#include "launch/commands/plan_report.hpp"

#include <fmt/format.h>
#include <fmt/ranges.h>

#include <algorithm>
#include <nlohmann/json.hpp>

#include "coordinator/plan_advice.hpp"

namespace anchorage::launch {
namespace {

using coordinator::Activity;
using coordinator::Plan;
using coordinator::PlanRequest;
using coordinator::RankBytes;
using coordinator::RankPlan;

double gigabytes(std::int64_t bytes) {
  return static_cast<double>(bytes) / 1e9;
}

struct Kind {
  const char* name;   // in JSON
  const char* title;  // in the table
  std::int64_t RankBytes::*bytes;
};

constexpr Kind kinds[] = {{"weights", "weights", &RankBytes::weights},
                          {"masters", "masters", &RankBytes::masters},
                          {"least_squares", "inverses", &RankBytes::least_squares},
                          {"starting", "starting", &RankBytes::starting},
                          {"activations", "activat.", &RankBytes::activations},
                          {"caches", "caches", &RankBytes::caches},
                          {"subjects", "subjects", &RankBytes::subjects},
                          {"batch", "batch", &RankBytes::batch},
                          {"checkpoint", "checkp.", &RankBytes::checkpoint},
                          {"runtime", "runtime", &RankBytes::runtime}};

nlohmann::json part_document(const RankBytes& bytes) {
  nlohmann::json document{{"total", bytes.total()}};
  for (const Kind& kind : kinds) document[kind.name] = bytes.*kind.bytes;
  return document;
}

nlohmann::json part_document(const coordinator::ActivitySeconds& seconds, double of = 1) {
  auto document = nlohmann::json::object();
  for (std::size_t i = 0; i < coordinator::activity_names.size(); ++i)
    document[std::string(coordinator::activity_names[i])] = seconds[static_cast<Activity>(i)] / of;
  return document;
}

nlohmann::json part_document(const sharding::StageLayers& layers) {
  auto document = nlohmann::json::array();
  for (const sharding::Range& range : layers.ranges()) document.push_back({range.begin, range.end - 1});
  return document;
}

std::string layers_text(const sharding::StageLayers& layers) {
  std::vector<std::string> ranges;
  for (const sharding::Range& range : layers.ranges()) {
    ranges.push_back(range.size() == 1 ? std::to_string(range.begin)
                                       : fmt::format("{}-{}", range.begin, range.end - 1));
  }
  return fmt::format("{}", fmt::join(ranges, ","));
}

// Of all ranks together, by rank: the seconds of a mean rank.
coordinator::ActivitySeconds sum_of(const Plan& plan) {
  coordinator::ActivitySeconds sum;
  for (const RankPlan& rank : plan.ranks) sum += rank.busy;
  return sum;
}

std::string memory_table(const Plan& plan) {
  std::string text = fmt::format("{:>5} {:>6} {:>8} {:>11} {:>6}", "rank", "stage", "replica", "layers", "slabs");
  for (const Kind& kind : kinds) text += fmt::format("{:>9}", kind.title);
  text += fmt::format("{:>9}  GB\n", "total");
  for (std::size_t rank = 0; rank < plan.ranks.size(); ++rank) {
    const RankPlan& own = plan.ranks[rank];
    text += fmt::format("{:>5} {:>6} {:>8} {:>11} {:>6}", rank, own.place.stage, own.place.replica,
                        layers_text(own.layers), own.slabs);
    for (const Kind& kind : kinds) text += fmt::format("{:>9.2f}", gigabytes(own.bytes.*kind.bytes));
    text += fmt::format("{:>9.2f}\n", gigabytes(own.bytes.total()));
  }
  return text;
}

std::string busy_table(const Plan& plan) {
  std::string text = fmt::format("{:>5} {:>6}", "rank", "busy");
  for (const auto name : coordinator::activity_names) text += fmt::format("{:>9}", name);
  text += "  % of a batch\n";
  for (std::size_t rank = 0; rank < plan.ranks.size(); ++rank) {
    const auto& busy = plan.ranks[rank].busy;
    const double percent = 100 / plan.seconds.total();
    text += fmt::format("{:>5} {:>6.1f}", rank, percent * busy.busy());
    for (std::size_t i = 0; i < coordinator::activity_names.size(); ++i)
      text += fmt::format("{:>9.1f}", percent * busy[static_cast<Activity>(i)]);
    text += '\n';
  }
  return text;
}

// Those that a rank sustains in a step of a group.
double flops_of_step(const PlanRequest& request) {
  return request.machine.flops_of_pass(coordinator::group_tokens(request.workload, request.machine).steps);
}

}  // namespace

nlohmann::json document_of(const Plan& plan, const PlanRequest& request) {
  auto ranks = nlohmann::json::array();
  for (std::size_t rank = 0; rank < plan.ranks.size(); ++rank) {
    const RankPlan& own = plan.ranks[rank];
    ranks.push_back({{"rank", rank},
                     {"stage", own.place.stage},
                     {"replica", own.place.replica},
                     {"layers", part_document(own.layers)},
                     {"slabs", own.slabs},
                     {"bytes", part_document(own.bytes)},
                     {"busy", std::min(1.0, own.busy.busy() / plan.seconds.total())},
                     {"seconds_by_activity", part_document(own.busy)}});
  }
  return {{"stages", plan.topology.stages()},
          {"replicas", plan.topology.replicas()},
          {"ranks", ranks},
          {"batch", request.workload.batch},
          {"group", plan.group},
          {"groups_in_flight", plan.groups_in_flight},
          {"kept_groups", plan.kept_groups},
          {"idle_replicas", coordinator::idle_replicas(plan, request)},
          {"memory_bytes", request.machine.memory_bytes},
          {"flops", flops_of_step(request)},
          {"efficiency", coordinator::efficiency_of(plan, coordinator::seconds_of_one_rank(request))},
          {"inverse_seconds", plan.inverse_seconds},
          {"advice", coordinator::advice_for(plan, request)},
          {"seconds_by_activity", part_document(sum_of(plan), request.ranks)},
          {"seconds_per_batch",
           {{"total", plan.seconds.total()},
            {"values", plan.seconds.values},
            {"solve", plan.seconds.solve},
            {"communicate", plan.seconds.communicate},
            {"evaluate", plan.seconds.evaluate}}}};
}

std::string text_of(const Plan& plan, const PlanRequest& request, const char* speed) {
  std::string text = fmt::format(
      "{} ranks: {} stages x {} replicas, {:.0f} GB each; batches of {} edits in groups of {}, {} in flight in a "
      "replica and caches of {} kept\n",
      request.ranks, plan.topology.stages(), plan.topology.replicas(), request.machine.memory_bytes / 1e9,
      request.workload.batch, plan.group, plan.groups_in_flight, plan.kept_groups);
  text += memory_table(plan) + busy_table(plan);
  for (const std::string& advice : coordinator::advice_for(plan, request)) text += advice + '\n';
  const auto& seconds = plan.seconds;
  text += fmt::format(
      "about {:.3g} s per batch, {:.3g} s per edit: values {:.3g}, solve {:.3g}, communicate {:.3g}, evaluate "
      "{:.3g} "
      "(at {:.3g} Tflop/s per rank, {})\n",
      seconds.total(), seconds.total() / static_cast<double>(request.workload.batch), seconds.values, seconds.solve,
      seconds.communicate, seconds.evaluate, flops_of_step(request) / 1e12, speed);
  return text + fmt::format(
                    "{:.2f} of what one rank whose memory has no limit would do, times {}; {:.3g} s once a "
                    "run for the inverses\n",
                    coordinator::seconds_of_one_rank(request) / (request.ranks * seconds.total()), request.ranks,
                    plan.inverse_seconds);
}

nlohmann::json document_of(const std::vector<coordinator::SweepRow>& rows) {
  auto document = nlohmann::json::array();
  for (const auto& row : rows) {
    nlohmann::json one{{"ranks", row.ranks}, {"batch", row.batch}};
    if (row.refusal.empty()) {
      one.update({{"stages", row.stages},
                  {"replicas", row.replicas},
                  {"seconds_per_edit", row.seconds_per_edit()},
                  {"efficiency", row.efficiency},
                  {"rank_seconds_per_edit", row.rank_seconds_per_edit()},
                  {"fullest_bytes", row.fullest_bytes}});
    } else {
      one["refusal"] = row.refusal;
    }
    document.push_back(one);
  }
  return document;
}

std::string text_of(const std::vector<coordinator::SweepRow>& rows) {
  std::string text = fmt::format("{:>6} {:>7} {:>18} {:>11} {:>10} {:>16} {:>11}\n", "ranks", "batch",
                                 "stages x replicas", "s per edit", "efficiency", "rank-s per edit", "fullest GB");
  for (const auto& row : rows) {
    text += fmt::format("{:>6} {:>7} ", row.ranks, row.batch);
    if (!row.refusal.empty()) {
      text += row.refusal + '\n';
      continue;
    }
    text += fmt::format("{:>18} {:>11.4g} {:>10.2f} {:>16.4g} {:>11.1f}\n",
                        fmt::format("{} x {}", row.stages, row.replicas), row.seconds_per_edit(), row.efficiency,
                        row.rank_seconds_per_edit(), gigabytes(row.fullest_bytes));
  }
  return text;
}

nlohmann::json document_of(const coordinator::SweepRow& machine, const coordinator::Night& night) {
  nlohmann::json document = document_of(std::vector{machine})[0];
  document["edits"] = night.edits;
  document["hours"] = coordinator::seconds_of(machine, night.edits) / 3600;
  return document;
}

std::string text_of(const coordinator::SweepRow& machine, const coordinator::Night& night) {
  return fmt::format("{} ranks ({} stages x {} replicas) write {} edits in {:.3g} hours, in batches of {}\n",
                     machine.ranks, machine.stages, machine.replicas, night.edits,
                     coordinator::seconds_of(machine, night.edits) / 3600, machine.batch);
}

}  // namespace anchorage::launch
