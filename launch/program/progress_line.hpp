// The progress of a long step on stderr: a bar with the time left, a line now and then, or nothing
// (--quiet).
#pragma once

#include <cstdint>
#include <optional>
#include <string>

#include "coordinator/progress.hpp"
#include "launch/program/session.hpp"

namespace anchorage::launch {

class ProgressLine {
 public:
  // Of `total` steps, which `unit` names; `what` stands before the numbers. Shows something on rank 0 alone.
  ProgressLine(std::string what, std::int64_t total, std::string unit, const Session& session);

  void advance(std::int64_t count) { advance_to(done_ + count); }
  // Counts all steps done so far.
  void advance_to(std::int64_t done);
  // Counts steps that were done before.
  void leave_out(std::int64_t count) { meter_.leave_out(count); }

 private:
  using Clock = coordinator::ProgressMeter::Clock;

  coordinator::ProgressMeter meter_;
  coordinator::MeterDisplay display_;
  bool shown_;
  std::int64_t done_ = 0;
  std::optional<Clock::time_point> last_line_;
};

}  // namespace anchorage::launch
