// One suite for every implementation of HostCommunicator: a program that links host_suite.cpp says which worlds it
// has, and each test runs in each of them.
#pragma once

#include <functional>
#include <ostream>
#include <string>
#include <vector>

#include "sharding/collective/host_communicator.hpp"

namespace anchorage::sharding {

struct HostWorld {
  std::string name;
  // Makes a fresh world with this deadline and runs the body on all ranks, or on the one that this process is.
  std::function<void(const std::function<void(HostCommunicator&)>& body, Seconds deadline)> run;
  Seconds short_deadline{0.3};  // long enough for a fresh world to be made

  // GoogleTest's and CTest's name for it.
  friend void PrintTo(const HostWorld& world, std::ostream* out) { *out << world.name; }
};

[[nodiscard]] std::vector<HostWorld> host_worlds_under_test();

}  // namespace anchorage::sharding
