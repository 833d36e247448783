// Every wait of a collective has a name and a time after which it gives up.
#pragma once

#include <chrono>
#include <cstddef>
#include <cstdint>
#include <stdexcept>
#include <string>
#include <string_view>

namespace anchorage::sharding {

using Seconds = std::chrono::duration<double>;

inline constexpr Seconds default_deadline{120};

// How many of the communicator's deadlines a call waits before it gives up, usually one. A rank that waits
// while others work in several steps, each with its own deadline, waits as many deadlines.
class Timeout {
 public:
  static const Timeout until_deadline;
  static constexpr Timeout steps(std::int64_t count) { return Timeout(count); }

  [[nodiscard]] Seconds of(Seconds deadline) const { return static_cast<double>(deadlines_) * deadline; }

 private:
  constexpr explicit Timeout(std::int64_t deadlines) : deadlines_(deadlines) {}

  std::int64_t deadlines_;
};

inline constexpr Timeout Timeout::until_deadline = Timeout::steps(1);

// A collective did not complete: a rank stayed away past the deadline, or MPI or NCCL reported an error. The
// communicator is unusable afterwards, and memory that was passed to the call may still be in use by the
// other ranks: end the job (MpiSession does that).
class CollectiveError : public std::runtime_error {
 public:
  CollectiveError(std::string_view operation, const std::string& message);

  [[nodiscard]] const std::string& operation() const { return operation_; }

 private:
  std::string operation_;
};

// The clock of one call; construction starts it.
class Deadline {
 public:
  // Borrows `operation` for as long as the call lasts.
  Deadline(std::string_view operation, int rank, Seconds limit);

  [[nodiscard]] std::string_view operation() const { return operation_; }
  [[nodiscard]] int rank() const { return rank_; }
  [[nodiscard]] Seconds elapsed() const { return Clock::now() - start_; }
  [[nodiscard]] bool passed() const { return elapsed() >= limit_; }
  [[nodiscard]] std::chrono::steady_clock::time_point end() const;

  // Throws CollectiveError when the deadline has passed; `waited_for` completes "rank 2 still waiting for
  // ...".
  void check(std::string_view waited_for) const;
  [[noreturn]] void fail(std::string_view waited_for) const;
  [[nodiscard]] std::string overrun(std::string_view waited_for) const;  // the message of both

 private:
  using Clock = std::chrono::steady_clock;

  std::string_view operation_;
  int rank_;
  Seconds limit_;
  Clock::time_point start_ = Clock::now();
};

// Sleeps between two polls, 20 microseconds at first and at most 200, so that a waiting rank leaves its core
// to those that compute. Does not sleep in the first moments, when most waits end.
void pause_between_polls(Seconds waited);

}  // namespace anchorage::sharding
