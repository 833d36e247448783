#include "launch/program/progress_line.hpp"

#include <iostream>
#include <utility>

namespace anchorage::launch {

ProgressLine::ProgressLine(std::string what, std::int64_t total, std::string unit, const Session& session)
    : meter_(total, Clock::now(), std::move(unit)),
      display_(std::cerr, coordinator::display_for_stderr(session.is_quiet()), std::move(what)),
      shown_(session.is_root()) {}

void ProgressLine::advance_to(std::int64_t done) {
  const auto now = Clock::now();
  meter_.advance(done - std::exchange(done_, done), now);
  if (!shown_) return;
  const bool is_due = !last_line_ || now - *last_line_ >= std::chrono::seconds(5);
  if (!display_.is_bar() && !is_due) return;
  display_.show(meter_, now);
  last_line_ = now;
}

}  // namespace anchorage::launch
