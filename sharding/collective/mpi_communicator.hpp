// The host communicator over MPI; for mpi_*.cpp only.
#pragma once

#include <mpi.h>

#include <list>
#include <memory>
#include <string>
#include <vector>

#include "sharding/collective/host_communicator.hpp"
#include "sharding/collective/mpi_progress.hpp"
#include "sharding/collective/mpi_session.hpp"

namespace anchorage::sharding {

// Polls until the request is done, sleeping between polls; `waited_for` goes into the error past the
// deadline.
void finish(MPI_Request request, MpiProgress& progress, const Deadline& deadline, const std::string& waited_for);

// Owns `communicator`, which no other object uses.
class MpiCommunicator final : public HostCommunicator {
 public:
  MpiCommunicator(MPI_Comm communicator, int rank, int size, const MpiOptions& options,
                  std::shared_ptr<MpiProgress> progress);
  ~MpiCommunicator() override;

 private:
  void wait_for_all(const Deadline& deadline) override;
  void copy_from(int root, std::span<std::byte> bytes, const Deadline& deadline) override;
  void sum(std::span<std::int64_t> values, const Deadline& deadline) override;
  void send_bytes(std::span<const std::byte> bytes, int to, const Deadline& deadline) override;
  void receive_bytes(std::span<std::byte> bytes, int from, const Deadline& deadline) override;
  void post_bytes(std::span<const std::byte> bytes, std::shared_ptr<const void> owner, int to,
                  const Deadline& deadline) override;
  void wait_for_posts(const Deadline& deadline) override;
  std::unique_ptr<HostCommunicator> split_by(int color, const Deadline& deadline) override;

  // A message that may be in flight; stays where it is, since the deadline borrows the name.
  struct Post {
    std::string operation;
    Deadline deadline;
    std::shared_ptr<const void> owner;
    int to;
    std::vector<MPI_Request> requests;
  };
  // Drops posts that are delivered; throws where one is past its deadline.
  void drop_delivered();

  MPI_Comm communicator_;
  MpiOptions options_;
  std::shared_ptr<MpiProgress> progress_;  // shared by the communicators of a world
  std::list<std::unique_ptr<Post>> posts_;
};

}  // namespace anchorage::sharding
