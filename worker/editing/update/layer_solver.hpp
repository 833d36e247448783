// The edited layers' least squares, each on its owner, and the only way in which updates reach the weights of
// all ranks.
//
// The owner of a layer is one of the ranks that hold it: the rank of one replica on the layer's stage.
#pragma once

#include <map>
#include <span>
#include <vector>

#include "io/hparams/hparams.hpp"
#include "io/statistics/statistics_file.hpp"
#include "sharding/protocol/command.hpp"
#include "worker/communicators.hpp"
#include "worker/editing/method.hpp"
#include "worker/editing/update/edited_weights.hpp"
#include "worker/editing/update/least_squares.hpp"

namespace anchorage::worker {

// One layer's part of a batch; b written edits, in their order. `u v^T = R K^T (A + K K^T)^-1` for these keys
// and residuals, so that an edit can be removed from the journal's records.
struct LayerUpdate {
  std::int64_t layer = 0;
  torch::Tensor keys;       // [b, f] f32
  torch::Tensor residuals;  // [b, d] f32
  torch::Tensor u;          // [d, b] f32
  torch::Tensor v;          // [f, b] f32
  io::LayerNorms norms{};   // on replica 0 only
};

// One layer's part of a removal of r edits (removal.hpp).
struct LayerRemoval {
  std::int64_t layer = 0;
  torch::Tensor keys;      // [r, f] f32
  torch::Tensor u;         // [d, r] f32
  torch::Tensor v;         // [f, r] f32
  io::LayerNorms norms{};  // on replica 0 only
};

class LayerSolver {
 public:
  // Every rank constructs one; not collective. Owners factor their second moments. Throws io::UserError where
  // one is singular, or lacks the null space that the method needs.
  LayerSolver(EditedWeights& weights, const io::Hparams& hparams, const Method& method,
              const io::StatisticsFile& statistics, const Communicators& ranks, const Stages& stages);

  int owner(std::int64_t layer) const { return owners_.at(layer); }  // the replica
  bool owns(std::int64_t layer) const { return stages_.holds(layer) && owner(layer) == communicators_.rank(); }

  // Returns the owner's tensor on every rank; elsewhere `tensor` gives shape and dtype, and is overwritten on
  // ranks that hold the layer. Collective.
  torch::Tensor from_owner(const torch::Tensor& tensor, std::int64_t layer, std::string_view operation) const;

  // Returns for each edited layer the number of key dimensions in which updates may lie
  // (KeyCovariance::free_dimensions). Collective.
  std::map<std::int64_t, std::int64_t> free_dimensions() const;

  // Moves the least squares of layers to other owners where the load has shifted (refreshed_layer_owners).
  // `loads`: one per edited layer, the same on every rank. Collective.
  void refresh_owners(std::span<const std::int64_t> loads);

  // Fills in u and v from keys and residuals: owners solve at the same time, then each broadcasts its
  // updates. The weights stay unchanged. Collective.
  void solve(std::span<LayerUpdate> updates, sharding::BatchSeconds& seconds) const;

  // Computes the updates that remove the edits from every layer: owners solve at the same time, then each
  // broadcasts its part. Weights and least squares stay unchanged. Collective.
  std::vector<LayerRemoval> solve_removal(const sharding::Removal& removal, sharding::BatchSeconds& seconds) const;

  // Adds these keys [b, f] to the least squares where the method carries keys from batch to batch: later
  // solves preserve what the weights map them to.
  void absorb(std::int64_t layer, const torch::Tensor& keys);
  // Reverses `absorb`.
  void release(std::int64_t layer, const torch::Tensor& keys);

  // The owners, and the least squares of the layers that this rank owns. Shares tensors; a state is never
  // changed in place.
  struct State {
    std::map<std::int64_t, int> owners;
    std::map<std::int64_t, KeyCovariance> covariances;
  };
  State state() const { return {owners_, covariances_}; }
  void restore(const State& state);
  // Restores one layer that this rank owns, as KeyCovariance::restore does.
  void restore(std::int64_t layer, torch::Tensor system, torch::Tensor inverse);

 private:
  std::vector<std::vector<std::int64_t>> layers_by_stage() const;  // edited layers only
  void move_key_covariance(std::int64_t layer, int from, int to);

  Method method_;
  Communicators communicators_;
  Stages stages_;
  std::vector<std::int64_t> layers_;
  std::int64_t key_width_;  // f
  std::map<std::int64_t, int> owners_;
  std::map<std::int64_t, KeyCovariance> covariances_;
};

}  // namespace anchorage::worker
