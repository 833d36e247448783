// Which rows of a layer's matrix [f, f] are one slab, and which rank holds it.
#pragma once

#include <torch/types.h>

#include <string_view>
#include <vector>

#include "sharding/collective/device_communicator.hpp"
#include "sharding/range.hpp"
#include "sharding/slabs.hpp"

namespace anchorage::worker {

struct SlabPlace {
  std::vector<sharding::Range> rows;
  std::vector<int> owners;                        // ranks of `world`, one a slab
  sharding::DeviceCommunicator* world = nullptr;  // borrowed; none: this rank has all slabs
  torch::Device device = torch::kCPU;

  // All slabs of a layer of `width` rows on this rank.
  static SlabPlace alone(std::int64_t width, std::int64_t most_rows = sharding::most_slab_rows);

  [[nodiscard]] std::int64_t width() const { return rows.back().end; }
  [[nodiscard]] bool owns(std::size_t slab) const { return world == nullptr || owners[slab] == world->rank(); }

  // Return a view of a slab's rows [rows, n] of a matrix [f, n], or of its columns [n, rows] of [n, f].
  [[nodiscard]] torch::Tensor rows_of(const torch::Tensor& matrix, std::size_t slab) const;
  [[nodiscard]] torch::Tensor columns_of(const torch::Tensor& matrix, std::size_t slab) const;

  // Overwrites `tensor` with that of the slab's owner. Collective over the world.
  void broadcast(const torch::Tensor& tensor, std::size_t slab, std::string_view operation) const;
};

}  // namespace anchorage::worker
