// Computes what a rank holds in memory, by kind. Pure functions of config and hyper-parameters; no weights are
// needed.
//
// On a CPU it is what the system counts as anonymous and shared pages of the process (RssAnon + RssShmem): the
// pages of libraries and of the model's mapped file are not the rank's, since the system reclaims them when it
// needs memory.
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
  std::int64_t masters = 0;        // f32, one of each edited layer that the rank holds; on GPUs the base beside it
  std::int64_t least_squares = 0;  // slabs of inverses, f64
  std::int64_t starting = 0;  // while the inverses are made: a row panel and some of its blocks; with AlphaEdit the
                              // eigenvectors of a layer
  std::int64_t activations = 0;  // of groups that have gone forward and not yet backward
  std::int64_t caches = 0;    // of groups in flight, and of those that are kept: attention's keys and values before
                              // the subjects, what enters the upper layers; the head's probabilities
  std::int64_t subjects = 0;  // of all groups of the replica: what enters the edited layers, and the values
  std::int64_t batch = 0;     // while a batch is solved: keys, products, factors, updates; what measures the edited
                              // weights
  std::int64_t checkpoint = 0;  // on CPUs: a slab or a master on its way to a file; on GPUs these lie on the host
  std::int64_t runtime = 0;     // of the process and of what moves tensors

  // Of what a rank holds at one time: it starts, then finds the values of a batch, then solves, while the
  // checkpoint of the batch before is written.
  [[nodiscard]] std::int64_t total() const {
    return weights + masters + least_squares + runtime +
           std::max(starting, checkpoint + subjects + std::max(activations + caches, batch));
  }
};

class RankMemory {
 public:
  RankMemory(const Workload& workload, const Machine& machine, int stages, int replicas);

  // Returns the bytes of a rank of a stage that holds `layers` and at most `slabs` slabs.
  [[nodiscard]] RankBytes bytes(int stage, const sharding::StageLayers& layers, std::int64_t slabs) const;
  [[nodiscard]] std::int64_t slab_bytes() const { return slab_bytes_; }  // of the largest
  [[nodiscard]] std::int64_t groups() const { return groups_; }          // of the replica with the most
  // Returns what a stage that holds `layers` caches of a group: attention's keys and values before the subjects,
  // what enters the suffixes, and the distributions that should stay.
  [[nodiscard]] std::int64_t cache_bytes(const sharding::StageLayers& layers) const;

 private:
  // Tokens before a subject's last one, in the longest context.
  [[nodiscard]] std::int64_t past() const { return workload_.hparams.context_length + 6; }
  [[nodiscard]] std::int64_t batch_bytes(std::int64_t edited) const;
  [[nodiscard]] std::int64_t starting_bytes(int stage) const;

  const Workload& workload_;
  Machine machine_;
  int stages_, ranks_;
  GroupTokens tokens_;
  std::int64_t groups_, in_flight_;
  std::int64_t slab_bytes_ = 0, block_bytes_ = 0;  // of the largest slab, and of its block on the diagonal
};

}  // namespace anchorage::coordinator
