// The host communicator over MPI; for mpi_*.cpp only.
#pragma once

#include <mpi.h>

#include "sharding/collective/host_communicator.hpp"
#include "sharding/collective/mpi_session.hpp"

namespace anchorage::sharding {

// Polls until the request is done, sleeping between polls; `waited_for` goes into the error past the
// deadline.
void finish(MPI_Request request, const Deadline& deadline, const std::string& waited_for);

// Owns `communicator`, which no other object uses.
class MpiCommunicator final : public HostCommunicator {
 public:
  MpiCommunicator(MPI_Comm communicator, int rank, int size, const MpiOptions& options);
  ~MpiCommunicator() override;

 private:
  void wait_for_all(const Deadline& deadline) override;
  void copy_from(int root, std::span<std::byte> bytes, const Deadline& deadline) override;
  void sum(std::span<std::int64_t> values, const Deadline& deadline) override;
  void send_bytes(std::span<const std::byte> bytes, int to, const Deadline& deadline) override;
  void receive_bytes(std::span<std::byte> bytes, int from, const Deadline& deadline) override;
  std::unique_ptr<HostCommunicator> split_by(int color, const Deadline& deadline) override;

  MPI_Comm communicator_;
  MpiOptions options_;
};

}  // namespace anchorage::sharding
