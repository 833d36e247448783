#include "launch/program/progress_line.hpp"

#include <iostream>
#include <utility>

namespace anchorage::launch {

ProgressLine::ProgressLine(std::string what, std::int64_t total, std::string unit, const Session& session)
    : what_(std::move(what)),
      meter_(total, Clock::now(), std::move(unit)),
      shown_(session.is_root()),
      display_(coordinator::display_for_stderr()) {}

ProgressLine::~ProgressLine() {
  if (bar_is_shown_) std::cerr << std::endl;
}

void ProgressLine::advance(std::int64_t count) {
  const auto now = Clock::now();
  meter_.advance(count, now);
  if (!shown_) return;
  if (display_ == coordinator::Display::bar) {
    std::cerr << "\r\x1b[K" << what_ << " " << meter_.bar(now) << std::flush;
    bar_is_shown_ = true;
  } else if (!last_line_ || now - *last_line_ >= std::chrono::seconds(5)) {
    std::cerr << what_ << ": " << meter_.line(now) << std::endl;
    last_line_ = now;
  }
}

}  // namespace anchorage::launch
