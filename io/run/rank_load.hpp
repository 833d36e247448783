// What one rank did in a batch.
#pragma once

#include <cstdint>

namespace anchorage::io {

struct RankLoad {
  double waits = 0;         // seconds for other ranks, as its host counts them
  std::int64_t memory = 0;  // bytes: the most that it has had so far; on a GPU, what was in use after the batch

  bool operator==(const RankLoad&) const = default;
};

}  // namespace anchorage::io
