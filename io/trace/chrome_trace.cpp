#include "io/trace/chrome_trace.hpp"

#include <fmt/format.h>

#include <algorithm>
#include <cmath>
#include <cstdint>
#include <iterator>
#include <nlohmann/json.hpp>
#include <tuple>

#include "io/error.hpp"
#include "io/files/atomic_file.hpp"

namespace anchorage::io {
namespace {

// Perfetto gives process 0, thread 0 and the thread with its process's number a meaning of their own.
constexpr std::size_t process = 1, first_thread = 2;

std::string quoted(const std::string& text) {
  return nlohmann::json(text).dump(-1, ' ', false, nlohmann::json::error_handler_t::replace);
}

// What the ends of boxes that touch may differ by, which sums of seconds in another order do.
constexpr std::int64_t slack = 10;  // ns

struct Placed {
  std::int64_t begin, end;  // ns
  const TraceBox* box;
};

// Returns the boxes in the order of their starts, those that lie within another after it, where viewers find them
// so: no two overlap by a nanosecond.
std::vector<Placed> placed(const TraceRow& row) {
  std::vector<Placed> boxes;
  for (const TraceBox& box : row.boxes) {
    if (!(box.duration >= 0)) {
      throw InternalError(fmt::format("'{}' of {} lasts {} s", box.activity, row.name, box.duration));
    }
    boxes.push_back({std::llround(1e9 * box.start), std::llround(1e9 * (box.start + box.duration)), &box});
  }
  std::ranges::stable_sort(boxes, {}, [](const Placed& box) { return std::tuple(box.begin, -box.end); });
  std::vector<const Placed*> around;  // the boxes that the next one may lie within, the innermost last
  for (Placed& box : boxes) {
    for (; !around.empty() && around.back()->end <= box.begin + slack; around.pop_back()) {
      box.begin = std::max(box.begin, around.back()->end);
    }
    if (!around.empty()) {
      if (box.end > around.back()->end + slack) {
        throw InternalError(fmt::format("'{}' of {} begins at {} ns, within '{}', and ends at {} ns, after it",
                                        box.box->activity, row.name, box.begin, around.back()->box->activity,
                                        box.end));
      }
      box.end = std::min(box.end, around.back()->end);
    }
    box.end = std::max(box.begin, box.end);
    around.push_back(&box);
  }
  return boxes;
}

std::string microseconds(std::int64_t nanoseconds) {
  return fmt::format("{}{}.{:03}", nanoseconds < 0 ? "-" : "", std::abs(nanoseconds) / 1000,
                     std::abs(nanoseconds) % 1000);
}

std::string row_events(const TraceRow& row, std::size_t index) {
  const std::size_t thread = first_thread + index;
  std::string events = fmt::format(
      ",\n"
      R"({{"ph": "M", "name": "thread_name", "pid": {0}, "tid": {1}, "args": {{"name": {2}}}}})"
      ",\n"
      R"({{"ph": "M", "name": "thread_sort_index", "pid": {0}, "tid": {1}, "args": {{"sort_index": {3}}}}})",
      process, thread, quoted(row.name), index);
  for (const Placed& box : placed(row)) {
    fmt::format_to(std::back_inserter(events),
                   ",\n"
                   R"({{"ph": "X", "name": {}, "cat": {}, "pid": {}, "tid": {}, "ts": {}, "dur": {}}})",
                   quoted(box.box->activity), quoted(box.box->category), process, thread, microseconds(box.begin),
                   microseconds(box.end - box.begin));
  }
  return events;
}

}  // namespace

void require_trace_path(const std::filesystem::path& path, const std::string& option) {
  const auto refuse = [&](const std::string& found) {
    throw UserError({.expected = "a file that can be written",
                     .found = found,
                     .where = fmt::format("{} {}", option, path.string()),
                     .remedy = "name a file in a folder that exists and that you may write to"});
  };
  if (path.empty() || std::filesystem::is_directory(path)) refuse(path.empty() ? "no name" : "a folder");
  try {
    const AtomicFile probe(path);
  } catch (const SystemError& error) {
    refuse(error.what());
  }
}

void write_trace(const std::filesystem::path& path, const Trace& trace) {
  AtomicFile file(path);
  file.write(
      fmt::format("{{\"displayTimeUnit\": \"ms\", \"traceEvents\": [\n"
                  R"({{"ph": "M", "name": "process_name", "pid": {}, "args": {{"name": {}}}}})",
                  process, quoted(trace.title)));
  for (std::size_t row = 0; row < trace.rows.size(); ++row) file.write(row_events(trace.rows[row], row));
  file.write("\n]}\n");
  file.commit();
}

}  // namespace anchorage::io
