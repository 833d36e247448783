// Sums of k k^T over keys [n, f] of several layers, in f64: what second moments are made of.
//
// Each layer's sum lies with one of the ranks that hold the layer, its owner. Keys come in *parts*, the sequences
// of a text for one, and the owner adds one part after the other in their order. So a sum's bits depend on the
// parts alone, neither on the number of ranks nor on their arrangement.
#pragma once

#include <torch/types.h>

#include <functional>
#include <map>
#include <span>
#include <string_view>
#include <vector>

#include "io/statistics/statistics_file.hpp"
#include "worker/communicators.hpp"
#include "worker/model/forward.hpp"
#include "worker/model/transformer.hpp"

namespace anchorage::worker {

// Runs the blocks up to layer `last`, without gradients, and calls `see` with what those give that this stage
// holds. Collective over the stages, which are free again when all have received what they were sent.
void run_blocks(const Transformer& model, TokenLayout layout, std::int64_t last,
                const std::function<void(std::int64_t layer, const BlockOutput& output)>& see);

class KeySums {
 public:
  // All sums are zero. `layers` ascend. Borrows model and ranks.
  KeySums(const Transformer& model, std::vector<std::int64_t> layers, const Communicators& ranks);

  const std::vector<std::int64_t>& layers() const { return layers_; }
  const std::map<std::int64_t, torch::Tensor>& owned() const { return sums_; }  // [f, f], by layer, of this rank

  // Replaces the sum of a layer that this rank owns.
  void restore(std::int64_t layer, std::span<const double> sum);

  // Adds one part of each replica, in the order of replicas; `sizes` counts the keys of each part, and replicas
  // beyond them have none. `keys` are those of this rank's part, by layer, of the layers that this stage holds: [n,
  // f] f32, empty where it has no part. Collective over the replicas.
  void add(const std::map<std::int64_t, torch::Tensor>& keys, std::span<const std::int64_t> sizes,
           std::string_view operation);

  // Brings a layer's sum from its owner to rank 0: [f, f] f64 on its CPU, undefined elsewhere. No rank begins
  // before rank 0 has finished with the layer of the call before. Collective over the world.
  torch::Tensor on_root(std::int64_t layer) const;

 private:
  const Transformer& model_;
  const Communicators& communicators_;
  std::vector<std::int64_t> layers_;
  std::vector<std::int64_t> held_;              // of this stage
  std::map<std::int64_t, int> owners_;          // by layer: the owner's replica
  std::map<std::int64_t, torch::Tensor> sums_;  // [f, f] f64, of the layers that this rank owns
};

// Returns the entries of a sum on rank 0, row by row; borrows the tensor.
std::span<const double> values_of(const torch::Tensor& sum);

// Returns the mean of k k^T over so many keys, in f32.
io::SecondMoment mean_moment(std::int64_t layer, const torch::Tensor& sum, std::int64_t keys);

}  // namespace anchorage::worker
