// The two groups that a rank of stages x replicas belongs to: its replica, which together holds one model, and its
// peers, which hold the same layers as it does, one of each replica.
#pragma once

#include <memory>

#include "sharding/collective/device_communicator.hpp"
#include "sharding/topology.hpp"

namespace anchorage::sharding {

struct RankGroups {
  Place place;
  std::unique_ptr<HostCommunicator> peers_host;  // rank = replica
  std::unique_ptr<DeviceCommunicator> peers;     // rank = replica
  std::unique_ptr<DeviceCommunicator> replica;   // rank = stage
};

// Collective over `world`, whose size is the topology's (or InternalError). `device` is this rank's.
[[nodiscard]] RankGroups form_rank_groups(HostCommunicator& world, const Topology& topology, torch::Device device);

}  // namespace anchorage::sharding
