#include "launch/program/activity_report.hpp"

#include <fmt/format.h>
#include <fmt/ranges.h>

#include <algorithm>
#include <functional>
#include <map>
#include <span>
#include <utility>

#include "io/log.hpp"
#include "sharding/collective/host_communicator.hpp"
#include "worker/device_activities.hpp"

namespace anchorage::launch {
namespace {

using sharding::Activities;

// The intervals by columns: names are many times fewer than intervals.
nlohmann::json columns_of(const Activities& activities) {
  std::map<std::pair<std::string_view, Activities::Kind>, std::size_t> index_of;
  auto names = nlohmann::json::array(), waits = nlohmann::json::array(), which = nlohmann::json::array(),
       begins = nlohmann::json::array(), ends = nlohmann::json::array();
  for (const Activities::Interval& interval : activities.intervals()) {
    const auto [place, is_new] = index_of.try_emplace({interval.name, interval.kind}, index_of.size());
    if (is_new) {
      names.push_back(interval.name);
      waits.push_back(interval.kind == Activities::Kind::wait);
    }
    which.push_back(place->second);
    begins.push_back(interval.begin);
    ends.push_back(interval.end);
  }
  return {{"names", names}, {"waits", waits}, {"which", which}, {"begins", begins}, {"ends", ends}};
}

std::vector<io::TraceBox> boxes_of(const nlohmann::json& columns) {
  std::vector<io::TraceBox> boxes;
  for (std::size_t i = 0; i < columns["which"].size(); ++i) {
    const std::size_t name = columns["which"][i];
    const double begin = columns["begins"][i], end = columns["ends"][i];
    boxes.push_back({.activity = columns["names"][name],
                     .start = begin,
                     .duration = end - begin,
                     .category = columns["waits"][name].get<bool>() ? "wait" : "activity"});
  }
  return boxes;
}

nlohmann::json own_report(Session& session) {
  const Activities& activities = session.activities();
  const sharding::Place place = session.place();
  nlohmann::json report{
      {"rank", session.host().rank()},   {"stage", place.stage},          {"replica", place.replica},
      {"busy", activities.busy_share()}, {"seconds", activities.total()}, {"activities", activities.activities()},
      {"waits", activities.waits()},     {"idle", activities.idle()},     {"flops", activities.flops()}};
  if (session.is_on_gpu()) {
    report["gpu_seconds"] = session.device_activities().seconds();
    if (const auto kernels = session.device_activities().kernels())
      report["gpu_kernels"] = {{"count", kernels->count}, {"idle_share", kernels->idle_share}};
  } else {
    report["product_seconds"] = activities.product_seconds();
  }
  return report;
}

std::string name_of(const nlohmann::json& rank) {
  return fmt::format("rank {} (stage {}, replica {})", rank["rank"].get<int>(), rank["stage"].get<int>(),
                     rank["replica"].get<int>());
}

// "values 0.71, solve 0.06": the largest parts of the total; those that round to nothing are left out.
std::string shares_of(const nlohmann::json& seconds_by_name, double total, std::size_t most) {
  std::vector<std::pair<double, std::string>> shares;
  for (const auto& [name, seconds] : seconds_by_name.items()) {
    if (const double share = seconds.get<double>() / total; share >= 0.005) shares.emplace_back(share, name);
  }
  std::ranges::sort(shares, std::greater<>());
  std::vector<std::string> named;
  for (const auto& [share, name] : std::span(shares).first(std::min(most, shares.size()))) {
    named.push_back(fmt::format("{} {:.2f}", name, share));
  }
  return named.empty() ? "none" : fmt::format("{}", fmt::join(named, ", "));
}

}  // namespace

void start_activities(Session& session, bool traced, bool counts_kernels) {
  const std::size_t own = most_trace_boxes / static_cast<std::size_t>(session.host().size());
  if (counts_kernels) session.device_activities().count_kernels();
  session.host().barrier("begin together");
  session.activities().start(traced ? std::max<std::size_t>(1, own) : 0);
}

ActivityReport gather_activities(Session& session) {
  const Activities& activities = session.activities();
  const auto own = nlohmann::json::to_cbor({{"report", own_report(session)},
                                            {"is_cut_off", activities.is_cut_off()},
                                            {"intervals", columns_of(activities)}});
  ActivityReport report{.ranks = nlohmann::json::array(), .trace = {.title = "anchorage edit", .rows = {}}};
  for (const auto& bytes : session.host().gather(std::as_bytes(std::span(own)), 0, "gather activities")) {
    const auto* first = reinterpret_cast<const std::uint8_t*>(bytes.data());
    const auto rank = nlohmann::json::from_cbor(first, first + bytes.size());
    report.ranks.push_back(rank["report"]);
    report.trace.rows.push_back({.name = name_of(rank["report"]), .boxes = boxes_of(rank["intervals"])});
    if (!rank["is_cut_off"].get<bool>()) continue;
    auto& row = report.trace.rows.back();
    const double end = row.boxes.back().start;
    spdlog::warn("the trace of {} is cut off {:.1f} s after its begin: a trace has {} boxes of all ranks at most",
                 row.name, end, most_trace_boxes);
    row.name += fmt::format(", cut off at {:.1f} s", end);
  }
  return report;
}

void log_activities(const nlohmann::json& ranks) {
  std::size_t width = 0;
  for (const auto& rank : ranks) width = std::max(width, name_of(rank).size());
  for (const auto& rank : ranks) {
    const double total = std::max(rank["seconds"].get<double>(), 1e-9);
    spdlog::info("{:<{}} busy {:.2f}: {}; waits: {}; idle {:.2f}", name_of(rank) + ":", width + 1,
                 rank["busy"].get<double>(), shares_of(rank["activities"], total, rank["activities"].size()),
                 shares_of(rank["waits"], total, 3), rank["idle"].get<double>() / total);
  }
}

}  // namespace anchorage::launch
