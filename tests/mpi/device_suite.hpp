// One suite for every implementation of DeviceCommunicator: threads, MPI and NCCL. Works like host_suite.hpp.
#pragma once

#include <functional>
#include <ostream>
#include <string>
#include <vector>

#include "sharding/collective/device_communicator.hpp"

namespace anchorage::sharding {

struct DeviceWorld {
  std::string name;
  // Makes a fresh world with this deadline and runs the body on all ranks, or on the one that this process is.
  std::function<void(const std::function<void(DeviceCommunicator&)>& body, Seconds deadline)> run;
  Seconds short_deadline{0.3};  // long enough for a fresh world to be made

  // GoogleTest's and CTest's name for it.
  friend void PrintTo(const DeviceWorld& world, std::ostream* out) { *out << world.name; }
};

[[nodiscard]] std::vector<DeviceWorld> device_worlds_under_test();

}  // namespace anchorage::sharding
