// Enforces the deadline of a call that can be neither polled nor abandoned, as some of MPI's.
#pragma once

#include <condition_variable>
#include <mutex>
#include <string>
#include <thread>

#include "sharding/collective/deadline.hpp"

namespace anchorage::sharding {

// While it lives, the call has until `deadline`, which is borrowed. Past it, the watchdog's own thread prints
// the message of CollectiveError to stderr and ends the process with exit code 1, because the waiting thread
// cannot be interrupted. mpirun then ends the other ranks.
class Watchdog {
 public:
  Watchdog(const Deadline& deadline, std::string waited_for);
  ~Watchdog();
  Watchdog(const Watchdog&) = delete;
  Watchdog& operator=(const Watchdog&) = delete;

 private:
  void watch();

  const Deadline& deadline_;
  std::string waited_for_;
  std::mutex mutex_;
  std::condition_variable changed_;
  bool called_off_ = false;
  std::jthread thread_;  // the last member: it uses the others
};

}  // namespace anchorage::sharding
