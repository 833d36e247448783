// Computes the seconds of the least squares, whose slabs of rows are dealt over all ranks (sharding/slabs.hpp).
// Estimates, from what a machine sustains in f64 products and in reading matrices: batches are small compared with
// a slab's width, so both count.
#pragma once

#include <cstdint>
#include <vector>

#include "coordinator/workload.hpp"

namespace anchorage::coordinator {

// f: d_ff, d: d_model, b: edits of a batch, [s, f]: a slab.
class SlabCosts {
 public:
  // `most` is, for each rank, how many slabs it holds. Deals them as a run does before anchors have been written.
  SlabCosts(const Workload& workload, const Machine& machine, const std::vector<std::int64_t>& most);

  // Return how many slabs a rank owns, and how many of one edited layer's.
  [[nodiscard]] std::int64_t owned(int rank) const { return owned_[static_cast<std::size_t>(rank)]; }
  [[nodiscard]] std::int64_t owned_of(std::int64_t edited_layer, int rank) const {
    return of_layer_[static_cast<std::size_t>(edited_layer)][static_cast<std::size_t>(rank)];
  }

  // Of one slab: P_t K; and P_t -= Z_t^T Z, with P_t a, which measures the drift.
  [[nodiscard]] double product() const;
  [[nodiscard]] double acceptance() const;
  // Of one layer, the same on every rank: K^T V, its Cholesky factor, u and v.
  [[nodiscard]] double factor() const;
  // Of one layer, over all ranks: its keys and values gathered; its products broadcast.
  [[nodiscard]] double gather() const;
  [[nodiscard]] double broadcast() const;

  // Of all layers, once a run, and again where the inverses are refreshed against drift: f^3 operations each
  // (worker/editing/update/slab_inverse), with a row panel of each slab broadcast to all. With AlphaEdit also the
  // eigenvectors, one rank a layer.
  [[nodiscard]] double first_inverses() const;
  [[nodiscard]] double eigenvectors() const;

 private:
  [[nodiscard]] double products(double flops) const { return flops / machine_.double_flops; }
  [[nodiscard]] double reading(double matrices) const;  // of a slab

  const Workload& workload_;
  Machine machine_;
  std::int64_t ranks_;
  double slabs_of_layer_ = 1, rows_ = 0, width_ = 0, batch_ = 0;
  std::vector<std::int64_t> owned_;                  // of each rank
  std::vector<std::vector<std::int64_t>> of_layer_;  // by edited layer and rank
};

}  // namespace anchorage::coordinator
