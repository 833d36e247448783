// Counts what went over a communicator, by the operations' names, as this rank saw it.
#pragma once

#include <cstdint>
#include <functional>
#include <map>
#include <string>

namespace anchorage::sharding {

struct Traffic {
  std::int64_t calls = 0;
  std::int64_t bytes = 0;  // payload that this rank sent or received; a gather counts what all ranks gave together
  double seconds = 0;      // from the call to its end, including the wait for slower ranks
};

using TrafficByOperation = std::map<std::string, Traffic, std::less<>>;

}  // namespace anchorage::sharding
