// What a rank's time goes into: its activities ("values", "solve"), the waits inside them by the operations of
// its communicators, and the idle time between activities.
//
// Every moment between `start` and `stop` counts once, for the innermost scope that is open then: an activity
// has the seconds that it spent neither waiting nor in an activity inside it. A call of a communicator, which
// waits or moves data, is a wait for all its length, whatever it calls in turn; outside every activity it is idle
// time, since a rank that does nothing else waits for a command.
//
// Each rank has one. Scopes are opened and closed by one thread at a time, as the communicators are called.
#pragma once

#include <chrono>
#include <cstddef>
#include <functional>
#include <map>
#include <string>
#include <string_view>
#include <vector>

namespace anchorage::sharding {

class Activities {
 public:
  enum class Kind { activity, wait };
  using SecondsByName = std::map<std::string, double, std::less<>>;

  // One activity or wait, in seconds after `start`. Those inside it come after it.
  struct Interval {
    std::string_view name;  // borrowed from the Activities
    Kind kind = Kind::activity;
    double begin = 0, end = 0;
  };

  // Counts from its construction to its end; records nothing without Activities that have been started.
  class Scope {
   public:
    Scope(Activities* activities, Kind kind, std::string_view name);
    ~Scope();
    Scope(const Scope&) = delete;
    Scope& operator=(const Scope&) = delete;

   private:
    Activities* activities_;
  };

  Activities() = default;
  Activities(const Activities&) = delete;
  Activities& operator=(const Activities&) = delete;

  // Begins at zero. Keeps sums alone, and as many of the first intervals.
  void start(std::size_t intervals = 0);
  // Adds to the flops of the innermost open activity's matrix products: 2 a multiply-add.
  void count_flops(double flops);
  // Ends the counting; no scope may be open.
  void stop();
  [[nodiscard]] bool is_counting() const { return is_counting_; }

  // Between `start` and `stop`; total = activities + waits + idle.
  [[nodiscard]] double total() const { return total_; }
  [[nodiscard]] double idle() const { return idle_; }
  [[nodiscard]] const SecondsByName& activities() const { return activities_; }
  [[nodiscard]] const SecondsByName& waits() const { return waits_; }
  // Of activities that count them.
  [[nodiscard]] const std::map<std::string, double, std::less<>>& flops() const { return flops_; }
  [[nodiscard]] double busy_share() const;  // the activities' part of the total; 0 where that is 0

  [[nodiscard]] const std::vector<Interval>& intervals() const { return intervals_; }
  [[nodiscard]] bool is_cut_off() const { return is_cut_off_; }  // whether there were more intervals than asked for

 private:
  using Clock = std::chrono::steady_clock;

  struct Open {
    std::string_view name;  // of the sum
    double* sum;
    Kind kind;
    std::size_t interval;  // its index; past the end where it was not kept
  };

  bool open(Kind kind, std::string_view name);  // whether the scope counts
  void close();
  double now();  // seconds after `start`; adds the time since the last call to what is open

  bool is_counting_ = false, is_cut_off_ = false;
  Clock::time_point start_;
  double counted_ = 0, total_ = 0, idle_ = 0;
  SecondsByName activities_, waits_;
  std::map<std::string, double, std::less<>> flops_;
  std::vector<Open> open_;  // the innermost last
  std::vector<Interval> intervals_;
  std::size_t most_intervals_ = 0;
};

}  // namespace anchorage::sharding
