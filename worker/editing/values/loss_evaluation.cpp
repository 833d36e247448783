#include "worker/editing/values/loss_evaluation.hpp"

#include <torch/utils.h>

#include "io/error.hpp"

namespace anchorage::worker {
namespace {

std::int64_t edits_of(LossEvaluation::Evaluations evaluations) {
  std::int64_t edits = 0;
  for (const LossEvaluation* evaluation : evaluations) edits += evaluation->forward().edits();
  return edits;
}

}  // namespace

LossEvaluation::LossEvaluation(const InjectedForward& forward, const torch::Tensor& injected)
    : forward_(forward), point_(injected.detach().requires_grad_(true)) {
  io::check(forward.takes_part(), "a loss is evaluated by the stages that take part in it");
  const auto activity = forward.model().stages.activity("values: forward");
  const torch::AutoGradMode gradients(true);
  loss_ = forward.loss(point_);
}

std::vector<InjectedLoss> LossEvaluation::losses(Evaluations evaluations) {
  const torch::NoGradGuard no_gradients;
  const InjectedForward& first = evaluations.front()->forward_;
  const Stages& stages = first.model().stages;
  torch::Tensor packed;  // [3, edits of all]
  if (stages.is_last()) {
    std::vector<torch::Tensor> each;
    for (const LossEvaluation* evaluation : evaluations) {
      const InjectedLoss& loss = evaluation->loss_;
      each.push_back(at::stack({loss.nll, loss.kl, loss.matches.to(loss.nll.scalar_type())}));
    }
    packed = at::cat(each, 1);
  }
  packed = stages.broadcast_from(first.first_stage(), packed, stages.last(), {3, edits_of(evaluations)},
                                 first.loss_dtype(), "broadcast losses");
  std::vector<InjectedLoss> losses;
  std::int64_t begin = 0;
  for (const LossEvaluation* evaluation : evaluations) {
    const auto own = packed.narrow(1, begin, evaluation->forward_.edits());
    losses.push_back({.nll = own[0].detach(), .kl = own[1].detach(), .matches = own[2].ne(0)});
    begin += evaluation->forward_.edits();
  }
  return losses;
}

void LossEvaluation::backward(double kl_factor) {
  const auto activity = forward_.model().stages.activity("values: backward");
  const torch::AutoGradMode gradients(true);
  if (forward_.model().stages.is_last()) {
    (loss_.nll + kl_factor * loss_.kl).sum().backward();
  } else if (loss_.nll.defined()) {
    loss_.nll.sum().backward();  // of an empty tensor: the gradient comes from the next stage
  }
  loss_ = {};
}

std::vector<torch::Tensor> LossEvaluation::gradients(Evaluations evaluations) {
  std::vector<torch::Tensor> gradients;
  for (const LossEvaluation* evaluation : evaluations) {
    const auto& point = evaluation->point_;
    gradients.push_back(point.grad().defined() ? point.grad().detach()
                                               : torch::zeros(point.sizes(), point.options().requires_grad(false)));
  }
  const InjectedForward& first = evaluations.front()->forward_;
  const Stages& stages = first.model().stages;
  if (first.first_stage() == stages.last()) return gradients;

  const auto all = at::cat(gradients);  // [edits of all, m, d]
  const auto shared = at::stack(
      stages.broadcast_layers_from(first.first_stage(), first.layers(), all.unbind(1),
                                   {all.size(0), first.d_model()}, all.scalar_type(), "broadcast gradients"),
      1);
  std::int64_t begin = 0;
  for (torch::Tensor& gradient : gradients) {
    gradient = shared.narrow(0, begin, gradient.size(0));
    begin += gradient.size(0);
  }
  return gradients;
}

}  // namespace anchorage::worker
