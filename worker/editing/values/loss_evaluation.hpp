// One evaluation of a group's loss and of its gradient, over the stages of a replica.
//
// It has four parts, so that several groups can be in flight at the same time: while a stage computes its
// layers for one group, the others compute theirs for the groups before and after it. Every stage runs one
// part for all groups, in the same order, before the next part; one call carries what the stages exchange for
// all groups. Collective over the stages that take part (InjectedForward::takes_part), all of which get the
// results.
#pragma once

#include <span>
#include <vector>

#include "worker/editing/values/injected_forward.hpp"

namespace anchorage::worker {

class LossEvaluation {
 public:
  // Runs forward through this stage's layers, with `injected` [E, m, d] added. Borrows `forward`.
  LossEvaluation(const InjectedForward& forward, const torch::Tensor& injected);

  const InjectedForward& forward() const { return forward_; }

  // Evaluations of groups with the same injected layers, in the same order on every stage.
  using Evaluations = std::span<LossEvaluation* const>;

  // Returns the losses from the last stage, without gradients, one per evaluation.
  static std::vector<InjectedLoss> losses(Evaluations evaluations);

  // Runs backward through this stage's layers, from the sum over edits of nll + kl_factor * kl.
  void backward(double kl_factor);

  // Returns the gradients with respect to `injected`, each layer's from its stage: [E, m, d] per evaluation.
  // Call it once.
  static std::vector<torch::Tensor> gradients(Evaluations evaluations);

 private:
  const InjectedForward& forward_;
  torch::Tensor point_;
  InjectedLoss loss_;
};

}  // namespace anchorage::worker
