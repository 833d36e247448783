#pragma once

#include <cstdint>

namespace anchorage::sharding {

// [begin, end)
struct Range {
  std::int64_t begin = 0;
  std::int64_t end = 0;

  [[nodiscard]] std::int64_t size() const { return end - begin; }
  [[nodiscard]] bool contains(std::int64_t index) const { return begin <= index && index < end; }
  bool operator==(const Range&) const = default;
};

}  // namespace anchorage::sharding
