// Checks that the devices of all ranks go together.
#pragma once

#include <span>
#include <string>

namespace anchorage::sharding {

struct RankDevice {
  std::string machine;  // equal only for ranks of the same machine
  std::string gpu;      // its address on the machine; empty: the CPU
};

// Takes one entry per rank, in rank order. Throws io::UserError where some ranks have a GPU and others none,
// and where two ranks have the same GPU, which NCCL refuses.
void check_rank_devices(std::span<const RankDevice> ranks);

}  // namespace anchorage::sharding
