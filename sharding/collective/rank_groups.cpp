#include "sharding/collective/rank_groups.hpp"

#include <fmt/format.h>

#include <utility>

#include "io/error.hpp"

namespace anchorage::sharding {

RankGroups form_rank_groups(HostCommunicator& world, const Topology& topology, torch::Device device) {
  io::check(world.size() == topology.size(), fmt::format("{} stages x {} replicas on {} ranks", topology.stages(),
                                                         topology.replicas(), world.size()));
  const Place place = topology.place_of(world.rank());
  auto peers_host = world.split(place.stage, "form stages");
  const auto replica_host = world.split(place.replica, "form replicas");
  auto peers = make_device_communicator(*peers_host, device);
  auto replica = make_device_communicator(*replica_host, device);
  const bool in_one_group = topology.stages() == 1 || topology.replicas() == 1;
  auto apart = in_one_group ? nullptr : make_device_communicator(world, device);
  return {place, std::move(peers_host), std::move(peers), std::move(replica), std::move(apart)};
}

DeviceCommunicator& RankGroups::world() const {
  if (apart) return *apart;
  return peers->size() > 1 ? *peers : *replica;
}

}  // namespace anchorage::sharding
