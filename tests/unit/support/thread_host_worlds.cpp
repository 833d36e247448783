// The host worlds of test_sharding and test_threads: ranks as threads of this process.
#include "tests/mpi/host_suite.hpp"
#include "tests/support/thread_communicator.hpp"

namespace anchorage::sharding {

std::vector<HostWorld> host_worlds_under_test() {
  std::vector<HostWorld> worlds;
  for (const int size : {1, 2, 3, 5}) {
    worlds.push_back({.name = "threads_" + std::to_string(size), .run = [size](const auto& body, Seconds deadline) {
                        tests::run_thread_world(size, body, deadline);
                      }});
  }
  return worlds;
}

}  // namespace anchorage::sharding
