// MPI for the length of a program: the only header through which others reach MPI, without any MPI type in
// it.
#pragma once

#include <cstdint>
#include <memory>
#include <string>

#include "sharding/collective/host_communicator.hpp"

namespace anchorage::sharding {

// Returns the name and the version of the MPI library that is loaded: "Open MPI v4.1.4".
[[nodiscard]] std::string mpi_library_version();

struct MpiOptions {
  Seconds deadline = default_deadline;
  // Longer messages are cut into pieces, since MPI counts in int. Tests set it small.
  std::int64_t largest_message_bytes = std::int64_t{1} << 30;
};

// Spans MPI_Init to MPI_Finalize. Construct it once, in main, on the thread that also destroys it; one thread
// at a time uses MPI (MPI_THREAD_SERIALIZED). Without mpirun it is a world of one rank.
//
// A rank that stops alone would leave the others waiting, so an error has to end them all:
//
//   MpiSession session(argc, argv);
//   try { return run(*session.world()); }
//   catch (const std::exception& error) { print(error); session.end_job(1); }
//
// An exception that passes through the session itself ends the job too, with exit code 1.
//
// Two waits have no deadline of this project: MPI_Init, which ends when mpirun has started all ranks, and
// MPI_Finalize, in which finished ranks wait for those that still work. mpirun ends both when a rank dies.
class MpiSession {
 public:
  MpiSession(int& argc, char**& argv);
  ~MpiSession();
  MpiSession(const MpiSession&) = delete;
  MpiSession& operator=(const MpiSession&) = delete;

  [[nodiscard]] int rank() const { return rank_; }
  [[nodiscard]] int size() const { return size_; }

  // Makes a communicator of all ranks, separate from all others. It must not outlive the session. Collective.
  [[nodiscard]] std::unique_ptr<HostCommunicator> world(const MpiOptions& options = {}) const;

  // Ends this process and all other ranks at once with `exit_code`. Print the reason first.
  [[noreturn]] void end_job(int exit_code) const;

  // Ends them from another thread than the one that uses MPI; whatever that thread does is dropped, even a
  // call that waits for other ranks.
  [[noreturn]] void abandon_job(int exit_code) const;

 private:
  int rank_ = 0;
  int size_ = 1;
  int exceptions_at_start_ = 0;
};

}  // namespace anchorage::sharding
