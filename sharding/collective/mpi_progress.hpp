// Moves posted messages on while their sender computes; for mpi_*.cpp only.
//
// Open MPI takes over short messages at once. A longer one moves only while both ends are inside calls of MPI, so
// it would wait for the end of a sender's computation. While posts are in flight, a thread of this process calls
// MPI now and then. MPI is started for one thread at a time (MPI_THREAD_SERIALIZED): every call of this process
// takes the lock.
#pragma once

#include <atomic>
#include <mutex>
#include <thread>

namespace anchorage::sharding {

class MpiProgress {
 public:
  MpiProgress() = default;
  ~MpiProgress();
  MpiProgress(const MpiProgress&) = delete;
  MpiProgress& operator=(const MpiProgress&) = delete;

  // For the length of one call of MPI.
  [[nodiscard]] std::unique_lock<std::mutex> lock() { return std::unique_lock(mutex_); }

  // Say that a post is in flight, and that it is delivered. The first post starts the thread.
  void begin_post();
  void end_post();

 private:
  void call_now_and_then(const std::stop_token& stop);

  std::mutex mutex_;
  std::atomic<int> posts_ = 0;
  std::jthread thread_;
};

}  // namespace anchorage::sharding
