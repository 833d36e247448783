#include "worker/editing/update/slab_place.hpp"

namespace anchorage::worker {

SlabPlace SlabPlace::alone(std::int64_t width, std::int64_t most_rows) {
  SlabPlace place{.rows = sharding::slab_rows(width, most_rows), .owners = {}};
  place.owners.assign(place.rows.size(), 0);
  return place;
}

torch::Tensor SlabPlace::rows_of(const torch::Tensor& matrix, std::size_t slab) const {
  return matrix.narrow(0, rows[slab].begin, rows[slab].size());
}

torch::Tensor SlabPlace::columns_of(const torch::Tensor& matrix, std::size_t slab) const {
  return matrix.narrow(1, rows[slab].begin, rows[slab].size());
}

void SlabPlace::broadcast(const torch::Tensor& tensor, std::size_t slab, std::string_view operation) const {
  if (world != nullptr) world->broadcast(tensor, owners[slab], operation);
}

}  // namespace anchorage::worker
