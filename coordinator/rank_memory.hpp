// Computes what a rank holds in memory, by kind. Pure functions of config and hyper-parameters; no weights are
// needed.
//
// Weights, masters and least squares are exact, and so is a batch's part in solving; the rest are estimates.
#pragma once

#include <algorithm>
#include <cstdint>

#include "coordinator/workload.hpp"
#include "sharding/stage_layers.hpp"

namespace anchorage::coordinator {

struct RankBytes {
  std::int64_t weights = 0;
  std::int64_t masters = 0;        // f32, one of each edited layer that the rank holds
  std::int64_t least_squares = 0;  // slabs of inverses, f64
  std::int64_t starting = 0;  // while the inverses are made: a slab, a row panel and the statistics of a slab; with
                              // AlphaEdit the eigenvectors of a layer
  std::int64_t activations = 0;  // of groups that have gone forward and not yet backward
  std::int64_t caches = 0;      // of groups in flight: attention's keys and values before the subjects, what enters
                                // the upper layers; the head's probabilities
  std::int64_t subjects = 0;    // of all groups of the replica: what enters the edited layers, and the values
  std::int64_t batch = 0;       // while a batch is solved: keys, products, factors, updates, and a slab
  std::int64_t checkpoint = 0;  // on CPUs: two slabs on their way to a file; on GPUs these lie on the host
  std::int64_t runtime = 0;     // of the process and of what moves tensors

  // Of what a rank holds at one time: it starts, then finds the values of a batch, then solves.
  [[nodiscard]] std::int64_t total() const {
    return weights + masters + least_squares + checkpoint + runtime +
           std::max(starting, subjects + std::max(activations + caches, batch));
  }
};

class RankMemory {
 public:
  RankMemory(const Workload& workload, const Machine& machine, int stages, int replicas);

  // Returns the bytes of a rank of a stage that holds `layers` and at most `slabs` slabs.
  [[nodiscard]] RankBytes bytes(int stage, const sharding::StageLayers& layers, std::int64_t slabs) const;
  [[nodiscard]] std::int64_t slab_bytes() const { return slab_bytes_; }  // of the largest

 private:
  [[nodiscard]] std::int64_t batch_bytes() const;
  [[nodiscard]] std::int64_t starting_bytes(int stage) const;

  const Workload& workload_;
  Machine machine_;
  int stages_, ranks_;
  GroupTokens tokens_;
  std::int64_t groups_, in_flight_;
  std::int64_t slab_bytes_ = 0;
};

}  // namespace anchorage::coordinator
