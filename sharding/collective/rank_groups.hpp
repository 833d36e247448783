// The two groups that a rank of stages x replicas belongs to: its replica, whose ranks together hold one
// model, and its peers, the ranks of all replicas that hold the same layers; and all ranks together.
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
  // Of all ranks; none where a replica or the peers are all ranks.
  std::unique_ptr<DeviceCommunicator> apart;

  // Of all ranks, numbered as in the world.
  [[nodiscard]] DeviceCommunicator& world() const;
};

// Forms both groups. `device` is this rank's. Throws InternalError unless `world` has the topology's size.
// Collective over `world`.
[[nodiscard]] RankGroups form_rank_groups(HostCommunicator& world, const Topology& topology, torch::Device device);

}  // namespace anchorage::sharding
