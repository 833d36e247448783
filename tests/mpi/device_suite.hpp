// One suite for every implementation of DeviceCommunicator: threads, MPI and NCCL. As host_suite.hpp.
#pragma once

#include <functional>
#include <string>
#include <vector>

#include "sharding/collective/device_communicator.hpp"

namespace anchorage::sharding {

struct DeviceWorld {
  std::string name;
  std::function<void(const std::function<void(DeviceCommunicator&)>& body)> run;
};

[[nodiscard]] std::vector<DeviceWorld> device_worlds_under_test();

}  // namespace anchorage::sharding
