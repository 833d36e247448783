#pragma once

#include <torch/types.h>

#include <functional>
#include <span>
#include <vector>

#include "sharding/collective/device_communicator.hpp"
#include "sharding/collective/host_communicator.hpp"
#include "sharding/collective/rank_groups.hpp"
#include "sharding/edit_groups.hpp"

namespace anchorage::worker {

// The ranks that hold the same layers as this one, one of each replica, and their communicators for host
// values and for tensors. A rank's number here is its replica's. A batch is split over these ranks; the
// stages of a replica (stages.hpp) work on the same share. Borrowed.
struct Communicators {
  sharding::HostCommunicator& host;
  sharding::DeviceCommunicator& device;
  sharding::HostCommunicator& world;  // all ranks, of all stages
  sharding::DeviceCommunicator& world_device;

  // For ranks that each hold the whole model: all ranks of the world hold the same layers.
  Communicators(sharding::HostCommunicator& all, sharding::DeviceCommunicator& tensors)
      : host(all), device(tensors), world(all), world_device(tensors) {}
  Communicators(sharding::RankGroups& groups, sharding::HostCommunicator& all)
      : host(*groups.peers_host), device(*groups.peers), world(all), world_device(groups.world()) {}

  int rank() const { return host.rank(); }
  int size() const { return host.size(); }
  bool is_root() const { return world.rank() == 0; }
};

// Divides `count` items into fixed groups and returns this rank's, in order.
std::vector<sharding::Range> own_groups(const Communicators& ranks, std::int64_t count, std::int64_t group_size);

// Returns how many of these items each rank has, in rank order; with `counts`, of those alone for which it holds.
std::vector<std::int64_t> items_by_rank(const Communicators& ranks, std::int64_t count, std::int64_t group_size);
std::vector<std::int64_t> items_by_rank(const Communicators& ranks, std::int64_t count, std::int64_t group_size,
                                        const std::function<bool(std::int64_t item)>& counts);

template <class T>
std::span<const T> part_of(std::span<const T> items, const sharding::Range& range) {
  return items.subspan(static_cast<std::size_t>(range.begin), static_cast<std::size_t>(range.size()));
}

}  // namespace anchorage::worker
