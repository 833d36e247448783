#pragma once

#include <torch/torch.h>

#include <span>
#include <vector>

#include "sharding/collective/device_communicator.hpp"
#include "sharding/collective/host_communicator.hpp"
#include "sharding/edit_groups.hpp"

namespace anchorage::worker {

// The two ways in which ranks talk: host values and tensors. Borrowed; both of the same world.
struct Ranks {
  sharding::HostCommunicator& host;
  sharding::DeviceCommunicator& device;

  int rank() const { return host.rank(); }
  int size() const { return host.size(); }
  bool is_root() const { return rank() == 0; }
};

// This rank's fixed groups of `count` items, in order.
std::vector<sharding::Range> own_groups(const Ranks& ranks, std::int64_t count, std::int64_t group_size);

template <class T>
std::span<const T> part_of(std::span<const T> items, const sharding::Range& range) {
  return items.subspan(static_cast<std::size_t>(range.begin), static_cast<std::size_t>(range.size()));
}

}  // namespace anchorage::worker
