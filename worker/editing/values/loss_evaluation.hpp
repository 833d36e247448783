// One evaluation of a group's loss and of its gradient, over the stages of a replica.
//
// It goes in four parts, so that several groups can be in flight at the same time: while a stage computes its
// layers for one group, the others compute theirs for groups before and after it. A part of all groups comes
// before the next part of any, in the same order on every stage; what the stages tell each other of all groups goes
// in one call. Collective over the stages that take part (InjectedForward::takes_part), on which all results are.
#pragma once

#include <span>
#include <vector>

#include "worker/editing/values/injected_forward.hpp"

namespace anchorage::worker {

class LossEvaluation {
 public:
  // Forward: this stage's layers, with `injected` [E, m, d] added. Borrows `forward`.
  LossEvaluation(const InjectedForward& forward, const torch::Tensor& injected);

  const InjectedForward& forward() const { return forward_; }

  // Evaluations of groups with the same injected layers, in the same order on every stage.
  using Evaluations = std::span<LossEvaluation* const>;

  // What came out at the last stage, without gradients. One of each.
  static std::vector<InjectedLoss> losses(Evaluations evaluations);

  // Backward through this stage's layers, of the sum over edits of nll + kl_factor * kl.
  void backward(double kl_factor);

  // The gradients with respect to `injected`, each layer's from its stage: [E, m, d] of each. Once.
  static std::vector<torch::Tensor> gradients(Evaluations evaluations);

 private:
  const InjectedForward& forward_;
  torch::Tensor point_;
  InjectedLoss loss_;
};

}  // namespace anchorage::worker
