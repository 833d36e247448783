// The optimizer's side of a group: where the vectors are and where they go next, given the gradient of the loss.
// Needs no model.
#pragma once

#include <torch/types.h>

#include "io/hparams/hparams.hpp"

namespace anchorage::worker {

// The update rule with its state: Adam with two moments, or normalized gradient descent. All [E, m, d] f32.
class UpdateRule {
 public:
  // Borrows the hyper-parameters.
  UpdateRule(const io::Hparams& hparams, const torch::Tensor& like);

  // Returns the point after a step from `point` along `gradient`; `norms` [E] scales normalized steps.
  torch::Tensor operator()(const torch::Tensor& point, const torch::Tensor& gradient, const torch::Tensor& norms);

  void keep(const torch::Tensor& index);

 private:
  const io::Hparams& hparams_;
  torch::Tensor first_, second_;
  int count_ = 0;
};

// The terms of the objective that do not depend on the model, but for the norms of the residual stream, which are
// not known where the vectors are when the first of these terms is needed.
struct Penalty {
  torch::Tensor length;  // [E] |D|
  torch::Tensor l1;      // [E] weighted sum of |D_j|, or undefined: no anchors

  // `norms` [E]; returns [E].
  torch::Tensor value(const io::Hparams& hparams, const torch::Tensor& norms) const;
};

// Where a search starts. `mask` and `l1_weights` [E, m, d] belong to the anchors and are undefined for dense
// vectors.
struct SearchStart {
  torch::Tensor point;       // [E, m, d] f32
  torch::Tensor mask;        // 0 or 1
  torch::Tensor l1_weights;  // eac_l1 / (saliency + eps)
};

// A search for the vectors of one group, of which edits may leave before the others.
class PointSearch {
 public:
  // Borrows the hyper-parameters.
  PointSearch(const io::Hparams& hparams, SearchStart start);

  // Returns the vectors of the edits that remain: [active, m, d].
  const torch::Tensor& point() const { return start_.point; }
  Penalty penalty() const;

  // |z_i| of the edits that remain, [active]; needed before the first step.
  void set_norms(torch::Tensor norms) { norms_ = std::move(norms); }
  const torch::Tensor& norms() const { return norms_; }

  // Notes that the loss is being evaluated at the point.
  void evaluate() { values_.index_copy_(0, active_, start_.point); }
  // Takes a step along the gradient [active, m, d] of the loss, to which that of the penalty is added. Where no
  // edit leaves before `steps` steps are taken, their mean gradient is kept; otherwise `steps` is 0.
  void step(const torch::Tensor& gradient_of_loss, std::int64_t steps);
  // Drops all but these: indices [n] i64 into the edits that remain.
  void keep(const torch::Tensor& continuing);

  // Return, for all edits [E, m, d]: where each was evaluated last, and the mean gradient.
  const torch::Tensor& values() const { return values_; }
  const torch::Tensor& mean_gradient() const { return mean_gradient_; }

 private:
  Penalty penalty_at(const torch::Tensor& point) const;
  torch::Tensor penalty_gradient() const;
  torch::Tensor masked(const torch::Tensor& entries) const;

  const io::Hparams& hparams_;
  SearchStart start_;
  UpdateRule update_rule_;
  torch::Tensor active_;  // [active] i64: their indices in the group
  torch::Tensor norms_, values_, mean_gradient_;
};

}  // namespace anchorage::worker
