// MPI for the length of a program: the only door to MPI there is, with no MPI type in it.
#pragma once

#include <cstdint>
#include <memory>

#include "sharding/collective/host_communicator.hpp"

namespace anchorage::sharding {

struct MpiOptions {
  Seconds deadline = default_deadline;
  // Longer messages are cut into pieces: MPI counts in int. Tests set it small.
  std::int64_t largest_message_bytes = std::int64_t{1} << 30;
};

// MPI_Init to MPI_Finalize. Made once, in main, by the thread that stays; MPI is used by one thread at a time
// (MPI_THREAD_SERIALIZED). Without mpirun it is a world of one rank.
//
// A rank that stops alone would leave the others waiting, so an error has to end them all:
//
//   MpiSession session(argc, argv);
//   try { return run(*session.world()); }
//   catch (const std::exception& error) { print(error); session.end_job(1); }
//
// An exception that passes through the session itself ends the job too, with exit code 1.
//
// Two waits have no deadline of ours: MPI_Init, which ends when mpirun has started all ranks, and MPI_Finalize, in
// which ranks that are through wait for those that still work alone. mpirun ends both when a rank dies.
class MpiSession {
 public:
  MpiSession(int& argc, char**& argv);
  ~MpiSession();
  MpiSession(const MpiSession&) = delete;
  MpiSession& operator=(const MpiSession&) = delete;

  [[nodiscard]] int rank() const { return rank_; }
  [[nodiscard]] int size() const { return size_; }

  // A communicator of all ranks, apart from all others. Collective. Not to outlive the session.
  [[nodiscard]] std::unique_ptr<HostCommunicator> world(const MpiOptions& options = {}) const;

  // Ends this process and all other ranks at once with `exit_code`. Print the reason before.
  [[noreturn]] void end_job(int exit_code) const;

  // The same from another thread than the one that uses MPI: whatever that is at, also in a call that waits for
  // other ranks, is dropped.
  [[noreturn]] void abandon_job(int exit_code) const;

 private:
  int rank_ = 0;
  int size_ = 1;
  int exceptions_at_start_ = 0;
};

}  // namespace anchorage::sharding
