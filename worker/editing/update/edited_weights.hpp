// The edited matrices: f32 masters beside the model's own matrices, which may be half precision. Each stage
// has those of the layers that it holds.
#pragma once

#include <map>
#include <vector>

#include "io/model/model_directory.hpp"
#include "io/run/journal/segment.hpp"
#include "worker/model/transformer.hpp"

namespace anchorage::worker {

class EditedWeights {
 public:
  // Borrows the model and its directory. In an f32 model the master is the model's own matrix.
  EditedWeights(Transformer& model, const io::ModelDirectory& base, const std::vector<std::int64_t>& layers);

  const std::vector<std::int64_t>& layers() const { return layers_; }  // on all stages
  bool holds(std::int64_t layer) const { return masters_.contains(layer); }
  std::int64_t key_width() const { return model_.config.d_ff; }
  const torch::Tensor& master(std::int64_t layer) const { return masters_.at(layer); }  // [d, f] f32

  // Adds W <- W + u v^T for u [d, r], v [f, r] f32 on any device, where this rank holds W. Weights change in
  // this way only, so that replaying a journal gives the same bits.
  void add(std::int64_t layer, const torch::Tensor& u, const torch::Tensor& v);

  // The masters; `restore` brings them back bit for bit.
  using Snapshot = std::map<std::int64_t, torch::Tensor>;
  Snapshot snapshot() const;
  void restore(const Snapshot& snapshot);

  // Reads the unedited matrix [d, f] f32 from the model's directory.
  torch::Tensor base(std::int64_t layer) const;

 private:
  void update_model(std::int64_t layer);

  Transformer& model_;
  const io::ModelDirectory& directory_;
  std::vector<std::int64_t> layers_;
  std::map<std::int64_t, torch::Tensor> masters_;
};

// Computes the norms of the update u v^T, without forming it, and of the weight after it; inputs are f32,
// sums f64.
io::LayerNorms layer_norms(const torch::Tensor& u, const torch::Tensor& v, const torch::Tensor& weight,
                           const torch::Tensor& base);

}  // namespace anchorage::worker
