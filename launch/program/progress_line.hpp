// The progress of a long step on stderr: a bar with the time left, or a line now and then.
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
  // Ends the line of a bar.
  ~ProgressLine();
  ProgressLine(const ProgressLine&) = delete;
  ProgressLine& operator=(const ProgressLine&) = delete;

  void advance(std::int64_t count);
  // Counts steps that were done before.
  void leave_out(std::int64_t count) { meter_.leave_out(count); }

 private:
  using Clock = coordinator::ProgressMeter::Clock;

  std::string what_;
  coordinator::ProgressMeter meter_;
  bool shown_;
  coordinator::Display display_;
  bool bar_is_shown_ = false;
  std::optional<Clock::time_point> last_line_;
};

}  // namespace anchorage::launch
