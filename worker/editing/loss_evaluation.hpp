// One evaluation of a group's loss and of its gradient, over the stages of a replica.
//
// It goes in four steps, so that several groups can be under way at the same time: while a stage computes its
// layers for one group, the others compute theirs for groups before and behind it. A step of all groups comes
// before the next step of any, in the same order on every stage.
#pragma once

#include "worker/editing/injected_forward.hpp"

namespace anchorage::worker {

class LossEvaluation {
 public:
  // Forward: this stage's layers, with `injected` [E, m, d] added. Borrows `forward`.
  LossEvaluation(const InjectedForward& forward, const torch::Tensor& injected);

  // What came out at the last stage, on every stage, without gradients.
  InjectedLoss loss() const;

  // Backward through this stage's layers, of the sum over edits of nll + kl_factor * kl.
  void send_back(double kl_factor);

  // The gradient with respect to `injected`, each layer's from its stage, on every stage: [E, m, d]. Once.
  torch::Tensor gradient();

 private:
  const InjectedForward& forward_;
  torch::Tensor point_;
  InjectedLoss loss_;
};

}  // namespace anchorage::worker
