#include "coordinator/progress.hpp"

#include <fmt/format.h>
#include <unistd.h>

#include <algorithm>
#include <cstring>

namespace anchorage::coordinator {
namespace {

constexpr std::string_view clear_line = "\r\x1b[K";

}  // namespace

void ProgressMeter::advance(std::int64_t count, Clock::time_point now) {
  done_ += count;
  last_ = now;
}

std::optional<double> ProgressMeter::per_second() const {
  const std::chrono::duration<double> elapsed = last_ - start_;
  if (done_ == 0 || elapsed.count() <= 0) return std::nullopt;
  return static_cast<double>(done_) / elapsed.count();
}

std::optional<std::chrono::seconds> ProgressMeter::time_left(Clock::time_point now) const {
  const auto speed = per_second();
  if (!speed) return std::nullopt;
  using Duration = std::chrono::duration<double>;
  const Duration left = Duration(static_cast<double>(total_ - done_) / *speed) - (now - last_);
  return std::chrono::ceil<std::chrono::seconds>(std::max(left, Duration::zero()));
}

std::string ProgressMeter::line(Clock::time_point now) const {
  std::string text = fmt::format("{} of {} {}", done_, total_, unit_);
  if (const auto speed = per_second()) text += fmt::format(", {:.2f} {}/s", *speed, unit_);
  if (done_ == total_) return text;
  const auto left = time_left(now);
  return left ? text + fmt::format(", {} left", duration_text(*left)) : text;
}

std::string ProgressMeter::bar(Clock::time_point now) const {
  constexpr std::int64_t width = 20;
  const auto filled = static_cast<std::size_t>(total_ == 0 ? width : width * done_ / total_);
  std::string cells(width, ' ');
  std::fill_n(cells.begin(), filled, '=');
  if (filled < cells.size()) cells[filled] = '>';
  return fmt::format("[{}] {}", cells, line(now));
}

std::string duration_text(std::chrono::seconds duration) {
  const std::int64_t seconds = duration.count(), minutes = seconds / 60;
  if (minutes == 0) return fmt::format("{} s", seconds);
  if (minutes < 60) return fmt::format("{} min {:02} s", minutes, seconds % 60);
  return fmt::format("{} h {:02} min", minutes / 60, minutes % 60);
}

Display display_for_stderr(bool quiet) {
  if (quiet) return Display::none;
  return isatty(STDERR_FILENO) == 1 ? Display::bar : Display::lines;
}

MeterDisplay::~MeterDisplay() {
  if (bar_is_shown_) out_ << std::endl;
}

void MeterDisplay::show(const ProgressMeter& meter, ProgressMeter::Clock::time_point now) {
  const auto before = [&](const char* separator) { return what_.empty() ? "" : what_ + separator; };
  if (is_bar()) {
    out_ << clear_line << before(" ") << meter.bar(now) << std::flush;
    bar_is_shown_ = true;
  } else if (display_ == Display::lines) {
    out_ << before(": ") << meter.line(now) << std::endl;
  }
}

void MeterDisplay::print(const std::string& text) {
  if (bar_is_shown_) out_ << clear_line;
  out_ << text << std::endl;
}

Progress::Progress(boost::asio::io_context& context, std::ostream& out, Display display,
                   std::chrono::milliseconds interval)
    : display_(out, display),
      interval_(display == Display::bar ? std::min(interval, std::chrono::milliseconds(1000)) : interval),
      timer_(context) {}

void Progress::warned(const std::string& of) {
  print("warning: " + of);
}

void Progress::replaying(std::int64_t segments) {
  tell(fmt::format("replaying {} committed batches", segments));
}

void Progress::editing(std::int64_t edits, std::int64_t batches) {
  tell(fmt::format("{} edits to apply in {} batches", edits, batches));
  meter_.emplace(edits, ProgressMeter::Clock::now());
  wait();
}

void Progress::reverted(std::int64_t edits, const std::string& why) {
  print(fmt::format("warning: a batch of {} edits is reverted: {}", edits, why));
}

void Progress::committed(const BatchReport& report) {
  for (const SetAside& edit : report.set_aside)
    print(fmt::format("warning: edit {} set aside: {}", edit.edit, edit.reason));
  meter_->advance(report.committed + std::ssize(report.set_aside), ProgressMeter::Clock::now());
  if (display_.is_bar()) show();
}

void Progress::stopping(int signal) {
  print(fmt::format("{}: the current batch is finished and committed, then the run stops", strsignal(signal)));
}

void Progress::still_stopping(int signal) {
  print(fmt::format("{}: already stopping, the current batch is still being finished", strsignal(signal)));
}

void Progress::finished(const RunResult& result) {
  over_ = true;
  timer_.cancel();
  if (result.batches > 0) show();
}

void Progress::show() {
  display_.show(*meter_, ProgressMeter::Clock::now());
  done_at_last_line_ = meter_->done();
  silent_intervals_ = 0;
}

void Progress::show_if_due() {
  const bool has_news = meter_->done() != done_at_last_line_;
  if (display_.is_bar() || has_news || ++silent_intervals_ == intervals_of_silence) show();
}

// Prints a separate line; a bar continues below it.
void Progress::print(const std::string& text) {
  display_.print(text);
  if (display_.bar_is_shown()) show();
}

void Progress::tell(const std::string& text) {
  if (display_.shows()) print(text);
}

// A wait that ended before it was cancelled does not see the cancellation.
void Progress::wait() {
  timer_.expires_after(interval_);
  timer_.async_wait([this](const boost::system::error_code& cancelled) {
    if (cancelled || over_) return;
    show_if_due();
    wait();
  });
}

}  // namespace anchorage::coordinator
