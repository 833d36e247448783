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

  // Is told, while activities count, of the scopes that open and close and whose time it was before: an observer of
  // what the rank's own clock does not see.
  class Listener {
   public:
    virtual ~Listener() = default;
    virtual void opened(std::string_view name) = 0;
    virtual void closed() = 0;  // the one that opened last
    // The time since the last call, or the start, was that of this activity or wait; without a name, idle.
    virtual void passed(std::string_view name) = 0;
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

  // Borrows the listener; none: nobody is told.
  void listen_with(Listener* listener) { listener_ = listener; }

  // Begins at zero. Keeps sums alone, and as many of the first intervals.
  void start(std::size_t intervals = 0);
  // Adds to the innermost open activity's matrix products: flops, 2 a multiply-add, and the seconds that they took
  // of the activity's, where these are known.
  void count_products(double flops, double seconds);
  // Ends the counting; no scope may be open.
  void stop();
  [[nodiscard]] bool is_counting() const { return is_counting_; }

  // Between `start` and `stop`; total = activities + waits + idle.
  [[nodiscard]] double total() const { return total_; }
  [[nodiscard]] double idle() const { return idle_; }
  [[nodiscard]] const SecondsByName& activities() const { return activities_; }
  [[nodiscard]] const SecondsByName& waits() const { return waits_; }
  [[nodiscard]] double waited() const;  // the sum of the waits that have ended
  // Of activities that count their products.
  [[nodiscard]] const std::map<std::string, double, std::less<>>& flops() const { return flops_; }
  [[nodiscard]] const SecondsByName& product_seconds() const { return product_seconds_; }
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

  Listener* listener_ = nullptr;
  bool is_counting_ = false, is_cut_off_ = false;
  Clock::time_point start_;
  double counted_ = 0, total_ = 0, idle_ = 0;
  SecondsByName activities_, waits_, product_seconds_;
  std::map<std::string, double, std::less<>> flops_;
  std::vector<Open> open_;  // the innermost last
  std::vector<Interval> intervals_;
  std::size_t most_intervals_ = 0;
};

}  // namespace anchorage::sharding
