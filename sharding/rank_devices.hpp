// What each rank computes on, and whether that goes together.
#pragma once

#include <span>
#include <string>

namespace anchorage::sharding {

struct RankDevice {
  std::string machine;  // the same for ranks of the same machine alone
  std::string gpu;      // its address on the machine; empty: the CPU
};

// One entry a rank, in their order. Throws io::UserError where some ranks have a GPU and others none, and where two
// have the same, which NCCL refuses.
void check_rank_devices(std::span<const RankDevice> ranks);

}  // namespace anchorage::sharding
