#include <fmt/format.h>

#include <nlohmann/json.hpp>

#include "io/files/atomic_file.hpp"
#include "launch/commands/plan_report.hpp"

namespace anchorage::launch {
namespace {

struct TraceBox {
  std::string activity;
  double start = 0, duration = 0;  // seconds
};

struct TraceRow {
  std::string name;
  std::vector<TraceBox> boxes;
};

// As Chrome's trace event format has it: rows are threads of one process, times are in microseconds.
void write_rows(const std::filesystem::path& path, const std::vector<TraceRow>& rows) {
  auto events = nlohmann::json::array();
  for (std::size_t row = 0; row < rows.size(); ++row) {
    events.push_back(
        {{"ph", "M"}, {"name", "thread_name"}, {"pid", 0}, {"tid", row}, {"args", {{"name", rows[row].name}}}});
    for (const TraceBox& box : rows[row].boxes) {
      events.push_back({{"ph", "X"},
                        {"name", box.activity},
                        {"pid", 0},
                        {"tid", row},
                        {"ts", 1e6 * box.start},
                        {"dur", 1e6 * box.duration}});
    }
  }
  io::AtomicFile file(path);
  file.write(nlohmann::json{{"traceEvents", events}, {"displayTimeUnit", "ms"}}.dump());
  file.commit();
}

}  // namespace

void write_trace(const std::filesystem::path& path, const coordinator::Plan& plan,
                 const coordinator::PlanRequest& request) {
  std::vector<TraceRow> rows;
  for (std::size_t rank = 0; rank < plan.ranks.size(); ++rank) {
    const sharding::Place& place = plan.ranks[rank].place;
    rows.push_back(
        {.name = fmt::format("rank {} (stage {}, replica {})", rank, place.stage, place.replica), .boxes = {}});
  }
  for (const coordinator::RankBox& box : coordinator::trace_of(plan, request)) {
    rows[static_cast<std::size_t>(box.rank)].boxes.push_back(
        {.activity = std::string(name_of(box.activity)), .start = box.start, .duration = box.duration});
  }
  write_rows(path, rows);
}

}  // namespace anchorage::launch
