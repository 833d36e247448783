#include "worker/editing/loss_evaluation.hpp"

namespace anchorage::worker {

LossEvaluation::LossEvaluation(const InjectedForward& forward, const torch::Tensor& injected)
    : forward_(forward), point_(injected.detach().requires_grad_(true)) {
  const torch::AutoGradMode gradients(true);
  loss_ = forward.loss(point_);
}

InjectedLoss LossEvaluation::loss() const {
  const torch::NoGradGuard no_gradients;
  const Stages& stages = forward_.model().stages;
  torch::Tensor packed;
  if (stages.is_last()) packed = at::stack({loss_.nll, loss_.kl, loss_.matches.to(loss_.nll.scalar_type())});
  packed = stages.share(packed, stages.last(), {3, forward_.edits()}, forward_.loss_dtype(), "share losses");
  return {.nll = packed[0].detach(), .kl = packed[1].detach(), .matches = packed[2].ne(0)};
}

void LossEvaluation::send_back(double kl_factor) {
  const torch::AutoGradMode gradients(true);
  if (forward_.model().stages.is_last()) {
    (loss_.nll + kl_factor * loss_.kl).sum().backward();
  } else if (loss_.nll.defined()) {
    loss_.nll.sum().backward();  // of nothing: what is to come, comes from the stage behind
  }
  loss_ = {};
}

torch::Tensor LossEvaluation::gradient() {
  auto gradient = point_.grad().defined() ? point_.grad() : torch::zeros(point_.sizes(), point_.options());
  const Stages& stages = forward_.model().stages;
  const auto& layers = forward_.layers();
  // A stage's injected layers stand behind each other.
  for (std::int64_t begin = 0, end = 0; stages.count() > 1 && begin < std::ssize(layers); begin = end) {
    const int stage = stages.of(layers[static_cast<std::size_t>(begin)]);
    while (end < std::ssize(layers) && stages.of(layers[static_cast<std::size_t>(end)]) == stage) ++end;
    auto own = gradient.narrow(1, begin, end - begin);
    own.copy_(stages.share(own, stage, own.sizes(), own.scalar_type(), "share gradients"));
  }
  return gradient.detach();
}

}  // namespace anchorage::worker
