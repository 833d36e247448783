#include <fmt/format.h>

#include "io/trace/chrome_trace.hpp"
#include "launch/commands/plan_report.hpp"

namespace anchorage::launch {

void write_trace(const std::filesystem::path& path, const coordinator::Plan& plan,
                 const coordinator::PlanRequest& request) {
  io::Trace trace{.title = "anchorage plan", .rows = {}};
  for (std::size_t rank = 0; rank < plan.ranks.size(); ++rank) {
    const sharding::Place& place = plan.ranks[rank].place;
    trace.rows.push_back(
        {.name = fmt::format("rank {} (stage {}, replica {})", rank, place.stage, place.replica), .boxes = {}});
  }
  for (const coordinator::RankBox& box : coordinator::trace_of(plan, request)) {
    trace.rows[static_cast<std::size_t>(box.rank)].boxes.push_back(
        {.activity = std::string(name_of(box.activity)), .start = box.start, .duration = box.duration});
  }
  io::write_trace(path, trace);
}

}  // namespace anchorage::launch
