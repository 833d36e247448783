// What went over a communicator, by the operations' names, as this rank saw it.
#pragma once

#include <cstdint>
#include <functional>
#include <map>
#include <string>

namespace anchorage::sharding {

struct Traffic {
  std::int64_t calls = 0;
  std::int64_t bytes = 0;  // payload that this rank gave or got; a gather counts what all ranks gave together
  double seconds = 0;      // from the call to its end, so with the wait for slower ranks
};

using TrafficByOperation = std::map<std::string, Traffic, std::less<>>;

}  // namespace anchorage::sharding
