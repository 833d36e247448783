// The worlds of test_mpi: MPI ranks, with messages whole and cut into small pieces (as those beyond 2 GiB are).
#include "tests/mpi/device_suite.hpp"
#include "tests/mpi/host_suite.hpp"
#include "tests/mpi/mpi_test.hpp"

namespace anchorage::sharding {
namespace {

HostWorld host_world(const std::string& name, std::int64_t largest_message_bytes) {
  return {.name = name,
          .run =
              [largest_message_bytes](const auto& body, Seconds deadline) {
                run_mpi_world(body, {.deadline = deadline, .largest_message_bytes = largest_message_bytes});
              },
          .short_deadline = Seconds{1}};  // MPI_Comm_idup takes its time where ranks share a core
}

DeviceWorld device_world(const std::string& name, std::int64_t largest_message_bytes) {
  return {.name = name,
          .run =
              [largest_message_bytes](const auto& body, Seconds deadline) {
                run_mpi_world([&](HostCommunicator& world) { body(*make_device_communicator(world, torch::kCPU)); },
                              {.deadline = deadline, .largest_message_bytes = largest_message_bytes});
              },
          .short_deadline = Seconds{2}};  // MPI_Comm_split takes its time where ranks share a core
}

}  // namespace

std::vector<HostWorld> host_worlds_under_test() {
  return {host_world("mpi", MpiOptions{}.largest_message_bytes), host_world("mpi_in_pieces_of_7_bytes", 7)};
}

std::vector<DeviceWorld> device_worlds_under_test() {
  return {device_world("mpi", MpiOptions{}.largest_message_bytes), device_world("mpi_in_pieces_of_7_bytes", 7)};
}

}  // namespace anchorage::sharding
