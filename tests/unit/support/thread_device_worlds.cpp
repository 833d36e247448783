// The device worlds of test_sharding: ranks as threads of this process.
#include "tests/mpi/device_suite.hpp"
#include "tests/support/thread_communicator.hpp"

namespace anchorage::sharding {

std::vector<DeviceWorld> device_worlds_under_test() {
  std::vector<DeviceWorld> worlds;
  for (const int size : {1, 2, 3}) {
    worlds.push_back({.name = "threads_" + std::to_string(size), .run = [size](const auto& body, Seconds deadline) {
                        tests::run_thread_world(
                            size,
                            [&](HostCommunicator& world) { body(*make_device_communicator(world, torch::kCPU)); },
                            deadline);
                      }});
  }
  return worlds;
}

}  // namespace anchorage::sharding
