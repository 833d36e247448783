// The edited layers' least squares, each with its owner, and the one way updates reach the weights of all ranks.
//
// The owner of a layer is one of the ranks that hold it: one of the replicas, on the layer's stage.
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

// One layer's part of a batch; b written edits, in their order. `u v^T = R K^T (A + K K^T)^-1` for these keys and
// residuals, so that the journal can take an edit back.
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
  // Not collective; every rank makes one. Owners factor their second moments. Throws io::UserError where one is
  // singular, or has no null space that the method needs.
  LayerSolver(EditedWeights& weights, const io::Hparams& hparams, const Method& method,
              const io::StatisticsFile& statistics, const Communicators& ranks, const Stages& stages);

  int owner(std::int64_t layer) const { return owners_.at(layer); }  // the replica
  bool owns(std::int64_t layer) const { return stages_.holds(layer) && owner(layer) == communicators_.rank(); }

  // The owner's tensor, on every rank; elsewhere `tensor` gives shape and dtype, and is overwritten on ranks that
  // hold the layer. Collective.
  torch::Tensor from_owner(const torch::Tensor& tensor, std::int64_t layer, std::string_view operation) const;

  // Of each edited layer's keys the dimensions in which updates may lie (KeyCovariance::free_dimensions), by layer.
  // Collective.
  std::map<std::int64_t, std::int64_t> free_dimensions() const;

  // Takes the least squares of layers to other owners where the load has shifted (refreshed_layer_owners). `loads`:
  // one an edited layer, the same on every rank. Collective.
  void refresh_owners(std::span<const std::int64_t> loads);

  // Fills in u and v from keys and residuals: owners solve at the same time, then each sends its updates to all.
  // Collective. The weights stay as they are.
  void solve(std::span<LayerUpdate> updates, sharding::BatchSeconds& seconds) const;

  // What takes the edits out of every layer: owners solve at the same time, then each sends its part to all.
  // Collective. Weights and least squares stay as they are.
  std::vector<LayerRemoval> solve_removal(const sharding::Removal& removal, sharding::BatchSeconds& seconds) const;

  // Later solves leave what stands at these keys [b, f] as it is, where the method carries keys from batch to
  // batch.
  void absorb(std::int64_t layer, const torch::Tensor& keys);
  // The reverse.
  void release(std::int64_t layer, const torch::Tensor& keys);

  // The owners, and the least squares of the layers this rank owns. Shares tensors; a state is never changed in
  // place.
  struct State {
    std::map<std::int64_t, int> owners;
    std::map<std::int64_t, KeyCovariance> covariances;
  };
  State state() const { return {owners_, covariances_}; }
  void restore(const State& state);
  // Of one layer that this rank owns, as KeyCovariance::restore.
  void restore(std::int64_t layer, torch::Tensor system, torch::Tensor inverse);

 private:
  std::vector<std::vector<std::int64_t>> layers_by_stage() const;  // the edited ones
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
