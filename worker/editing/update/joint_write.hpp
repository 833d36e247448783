// How B-EAC writes a batch, whose values are one vector per edit and edited layer.
//
// First, all layers are written at the same time, each at the keys of the injected pass, so that no layer
// waits for another. A regularized solve reaches only a part of the values D, so the layers above then see
// other keys than those they were written for. A correction sweep therefore writes the layers again, upward
// and from the unedited weights, each at the keys that the layers below now give, and adds to its values what
// those left remaining,
//
//   U_l = D_l + U_{l-1} - dW_l K_l,   dW_l = R_l K_l^T (A_l + K_l K_l^T)^-1,   R_l = D_l + U_{l-1} + E_l
//
// with U, the remaining residual, on the edit's anchors. E, the accumulated error, is 0 in the first sweep
// and grows after each sweep by what the sweep leaves remaining, at the layers where it lies on anchors. A
// sweep that does not reduce the remaining residual is reverted. One set of keys and residuals per layer
// describes the whole update, however many sweeps it took; removing an edit relies on that.
//
// Where a norm follows the MLP, D and R are of the down projection's output and U and E of the residual stream:
// what a layer leaves goes into U through the slope of its norm, and U and E into R through the slope back
// (values/post_norm.hpp), as on the weights before the batch.
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
  // Compute the keys of all ranks' edits on the current weights. Collective.
  struct Keys {
    std::function<torch::Tensor(std::int64_t layer)> of_layer;  // [b, f] f32
    std::function<std::vector<torch::Tensor>()> of_all;         // those of each edited layer, in one pass
  };

  // `values`: m tensors [b, d] f32, 0 where there is no anchor. `slopes`: m tensors [b, 2, d] f32 of norms after
  // the MLP, or none. Borrows all but these and `keys`.
  JointWrite(EditedWeights& weights, const LayerSolver& solver, std::vector<torch::Tensor> values, Keys keys,
             std::vector<torch::Tensor> slopes, sharding::BatchSeconds& seconds);

  // Writes the weights and leaves the least squares unchanged. `injected_keys`: m tensors [b, f] f32.
  // Collective.
  std::vector<LayerUpdate> run(const std::vector<torch::Tensor>& injected_keys, int correction_sweeps);

 private:
  struct Written {
    std::vector<LayerUpdate> updates;
    torch::Tensor remaining;  // [b, d] f32: the residual that all layers together leave, on the anchors
  };
  std::vector<LayerUpdate> write_at_once(const std::vector<torch::Tensor>& injected_keys);
  void add(std::span<const LayerUpdate> updates);
  Written write_upward(const torch::Tensor& accumulated_error);
  torch::Tensor remaining_now(std::span<const LayerUpdate> updates) const;
  // Take a change [b, d] of the i-th edited layer's output into the residual stream, and back.
  torch::Tensor into_stream(std::size_t i, const torch::Tensor& change) const;
  torch::Tensor out_of_stream(std::size_t i, const torch::Tensor& change) const;
  // Returns what `update` leaves remaining of `targets` [b, d] at these keys, on the anchors. Collective.
  torch::Tensor remaining(const torch::Tensor& targets, const LayerUpdate& update, const torch::Tensor& keys) const;

  EditedWeights& weights_;
  const LayerSolver& solver_;
  std::vector<torch::Tensor> values_;
  Keys keys_;
  std::vector<torch::Tensor> slopes_;
  sharding::BatchSeconds& seconds_;
  EditedWeights::Mark unedited_;
  torch::Tensor holders_;  // [b, d] f32: number of layers in which the dimension is an anchor of the edit
};

}  // namespace anchorage::worker
