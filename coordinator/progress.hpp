// Reports the progress of a run: edits per second and the time left.
#pragma once

#include <boost/asio/io_context.hpp>
#include <boost/asio/steady_timer.hpp>
#include <chrono>
#include <cstdint>
#include <optional>
#include <ostream>
#include <string>
#include <utility>

#include "coordinator/edit_run.hpp"

namespace anchorage::coordinator {

// Computes the numbers and formats them.
class ProgressMeter {
 public:
  using Clock = std::chrono::steady_clock;

  // Of so many edits, or of what else the lines are to call them.
  ProgressMeter(std::int64_t total, Clock::time_point start, std::string unit = "edits")
      : total_(total), start_(start), last_(start), unit_(std::move(unit)) {}

  // Counts `count` more as done (edits: committed or set aside).
  void advance(std::int64_t count, Clock::time_point now);
  // Counts `count` fewer in all: those that turn out to be done already, in no time.
  void leave_out(std::int64_t count) { total_ -= count; }

  // Returns the average until the last call of `advance`; nothing before the first call.
  std::optional<double> per_second() const;
  std::optional<std::chrono::seconds> time_left(Clock::time_point now) const;
  std::int64_t done() const { return done_; }

  // "64 of 320 edits, 1.31 edits/s, 3 min 15 s left"
  std::string line(Clock::time_point now) const;
  // "[====>               ] 64 of 320 edits, ..."
  std::string bar(Clock::time_point now) const;

 private:
  std::int64_t total_;
  std::int64_t done_ = 0;
  Clock::time_point start_;
  Clock::time_point last_;
  std::string unit_;
};

// "45 s", "3 min 05 s", "2 h 07 min"
std::string duration_text(std::chrono::seconds duration);

enum class Display { bar, lines, none };

// Chooses a bar where stderr is a terminal; `quiet` asks for none.
Display display_for_stderr(bool quiet);

// Shows meters on a stream: a bar that is redrawn in place, a plain line each time, or nothing. Borrows the stream.
class MeterDisplay {
 public:
  // `what` stands before the meter's text.
  MeterDisplay(std::ostream& out, Display display, std::string what = "")
      : out_(out), display_(display), what_(std::move(what)) {}
  // Ends the line where a bar is shown.
  ~MeterDisplay();
  MeterDisplay(const MeterDisplay&) = delete;
  MeterDisplay& operator=(const MeterDisplay&) = delete;

  void show(const ProgressMeter& meter, ProgressMeter::Clock::time_point now);
  // Prints a separate line in the place of a bar, which `show` draws again below it.
  void print(const std::string& text);

  bool is_bar() const { return display_ == Display::bar; }
  bool shows() const { return display_ != Display::none; }
  bool bar_is_shown() const { return bar_is_shown_; }

 private:
  std::ostream& out_;
  Display display_;
  std::string what_;
  bool bar_is_shown_ = false;
};

// Shows the progress of a run on a stream: a bar that is redrawn in place, or plain lines, few enough for the log
// of a long job: one at an interval after which more edits are done, and one after `intervals_of_silence` without.
// With Display::none it prints warnings, and what becomes of a signal.
class Progress : public Observer {
 public:
  static constexpr int intervals_of_silence = 12;

  // Borrows `context` and `out`. The first line comes after one interval.
  Progress(boost::asio::io_context& context, std::ostream& out, Display display,
           std::chrono::milliseconds interval = std::chrono::seconds(5));

  void warned(const std::string& of) override;
  void replaying(std::int64_t segments) override;
  void editing(std::int64_t edits, std::int64_t batches) override;
  void reverted(std::int64_t edits, const std::string& why) override;
  void committed(const BatchReport& report) override;
  void stopping(int signal) override;
  void still_stopping(int signal) override;
  void finished(const RunResult& result) override;

 private:
  void show();
  void show_if_due();
  void print(const std::string& text);
  void tell(const std::string& text);  // prints it unless the display is none
  void wait();

  MeterDisplay display_;
  std::chrono::milliseconds interval_;
  boost::asio::steady_timer timer_;
  std::optional<ProgressMeter> meter_;  // set once the first batch has begun
  std::int64_t done_at_last_line_ = -1;
  int silent_intervals_ = 0;
  bool over_ = false;
};

}  // namespace anchorage::coordinator
