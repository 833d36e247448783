// How B-EAC writes a batch, whose values are one vector an edit and edited layer.
//
// First all layers at the same time, each at the keys of the injected pass, so that no layer waits for another. A
// regularized solve reaches only a part of the values D, and the layers after then get other keys than those they
// were written for. A correction sweep therefore goes through the layers again, upward and from the unedited
// weights: each at the keys that the layers below give by then, with what those left remaining on top,
//
//   U_l = D_l + U_{l-1} - dW_l K_l,   dW_l = R_l K_l^T (A_l + K_l K_l^T)^-1,   R_l = D_l + U_{l-1} + E_l
//
// with U, what is left remaining, on the edit's anchors; E is 0 in the first sweep and grows by what each leaves
// remaining in the end, at the layers whose anchors it lies on. A sweep that leaves more remaining than what stood
// before is itself remaining. One set of keys and residuals a layer says the whole update, however many sweeps it
// took: that is what removing an edit needs.
#pragma once

#include <functional>
#include <span>
#include <vector>

#include "worker/editing/update/edited_weights.hpp"
#include "worker/editing/update/layer_solver.hpp"

namespace anchorage::worker {

// m edited layers, b edits, d = d_model, f = d_ff.
class JointWrite {
 public:
  // Keys of all ranks' edits on the weights as they are. Collective.
  struct Keys {
    std::function<torch::Tensor(std::int64_t layer)> of_layer;  // [b, f] f32
    std::function<std::vector<torch::Tensor>()> of_all;         // the same of each edited layer, in one pass
  };

  // `values`: m tensors [b, d] f32, 0 where there is no anchor. Borrows all but them and `keys`.
  JointWrite(EditedWeights& weights, const LayerSolver& solver, std::vector<torch::Tensor> values, Keys keys,
             sharding::BatchSeconds& seconds);

  // Leaves the weights written and the least squares as they were. `injected_keys`: m tensors [b, f] f32.
  // Collective.
  std::vector<LayerUpdate> run(const std::vector<torch::Tensor>& injected_keys, int correction_sweeps);

 private:
  struct Written {
    std::vector<LayerUpdate> updates;
    torch::Tensor remaining;  // [b, d] f32: what all layers together leave of the values, on the anchors
  };
  std::vector<LayerUpdate> write_at_once(const std::vector<torch::Tensor>& injected_keys);
  void add(std::span<const LayerUpdate> updates);
  Written write_upward(const torch::Tensor& accumulated_error);
  torch::Tensor remaining_now(std::span<const LayerUpdate> updates) const;
  // What `update` leaves of `targets` [b, d] at these keys, on the anchors. Collective.
  torch::Tensor remaining(const torch::Tensor& targets, const LayerUpdate& update, const torch::Tensor& keys) const;

  EditedWeights& weights_;
  const LayerSolver& solver_;
  std::vector<torch::Tensor> values_;
  Keys keys_;
  sharding::BatchSeconds& seconds_;
  EditedWeights::Snapshot unedited_;
  torch::Tensor holders_;  // [b, d] f32: in how many layers the dimension is an anchor of the edit
};

}  // namespace anchorage::worker
