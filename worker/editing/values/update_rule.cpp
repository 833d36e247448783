#include "worker/editing/values/update_rule.hpp"

#include <torch/csrc/autograd/autograd.h>
#include <torch/utils.h>
#include <cmath>
#include <utility>

namespace anchorage::worker {
namespace {

// Scales the vectors back into the ball |D_i| <= clamp_norm_factor * |z_i|.
torch::Tensor project(const torch::Tensor& point, const torch::Tensor& norms, double clamp) {
  const auto length = point.flatten(1).norm(2, 1);
  return point * at::clamp_max(clamp * norms / length.clamp_min(1e-30), 1.0).view({-1, 1, 1});
}

}  // namespace

UpdateRule::UpdateRule(const io::Hparams& hparams, const torch::Tensor& like)
    : hparams_(hparams), first_(torch::zeros_like(like)), second_(torch::zeros_like(like)) {}

torch::Tensor UpdateRule::operator()(const torch::Tensor& point, const torch::Tensor& gradient,
                                     const torch::Tensor& norms) {
  if (hparams_.v_optimizer == io::ValueOptimizer::ngd) {
    const auto length = gradient.flatten(1).norm(2, 1).clamp_min(1e-30).view({-1, 1, 1});
    first_ = 0.7 * first_ + gradient / length;
    return point - hparams_.ngd_step * norms.view({-1, 1, 1}) * first_;
  }
  ++count_;
  first_ = 0.9 * first_ + 0.1 * gradient;
  second_ = 0.999 * second_ + 0.001 * gradient.square();
  const double first_bias = 1 - std::pow(0.9, count_), second_bias = 1 - std::pow(0.999, count_);
  return point - hparams_.v_lr * (first_ / first_bias) / ((second_ / second_bias).sqrt() + 1e-8);
}

void UpdateRule::keep(const torch::Tensor& index) {
  first_ = first_.index_select(0, index);
  second_ = second_.index_select(0, index);
}

torch::Tensor Penalty::value(const io::Hparams& hparams, const torch::Tensor& norms) const {
  auto decay = hparams.v_weight_decay * length / norms.square();
  return l1.defined() ? decay + l1 : decay;
}

PointSearch::PointSearch(const io::Hparams& hparams, SearchStart start)
    : hparams_(hparams),
      start_(std::move(start)),
      update_rule_(hparams, start_.point),
      active_(torch::arange(start_.point.size(0), start_.point.options().dtype(torch::kInt64))),
      mean_gradient_(torch::zeros_like(start_.point)) {
  start_.point = masked(start_.point);
  values_ = start_.point.clone();
}

Penalty PointSearch::penalty() const {
  return penalty_at(start_.point);
}

// The square root's gradient at zero is infinite; the tiny summand makes it zero.
Penalty PointSearch::penalty_at(const torch::Tensor& point) const {
  Penalty penalty{.length = (point.square().flatten(1).sum(1) + 1e-24).sqrt(), .l1 = {}};
  if (start_.l1_weights.defined()) penalty.l1 = (start_.l1_weights * point.abs()).flatten(1).sum(1);
  return penalty;
}

torch::Tensor PointSearch::penalty_gradient() const {
  const torch::AutoGradMode gradients(true);
  const auto point = start_.point.detach().requires_grad_(true);
  return torch::autograd::grad({penalty_at(point).value(hparams_, norms_).sum()}, {point}).front();
}

torch::Tensor PointSearch::masked(const torch::Tensor& entries) const {
  return start_.mask.defined() ? entries * start_.mask : entries;
}

void PointSearch::step(const torch::Tensor& gradient_of_loss, std::int64_t steps) {
  const auto gradient = masked(gradient_of_loss + penalty_gradient());
  const auto next = masked(update_rule_(start_.point, gradient, norms_));
  start_.point = project(next, norms_, hparams_.clamp_norm_factor);
  if (steps > 0) mean_gradient_ += gradient / static_cast<double>(steps);
}

void PointSearch::keep(const torch::Tensor& continuing) {
  active_ = active_.index_select(0, continuing);
  start_.point = start_.point.index_select(0, continuing);
  norms_ = norms_.index_select(0, continuing);
  if (start_.mask.defined()) start_.mask = start_.mask.index_select(0, continuing);
  if (start_.l1_weights.defined()) start_.l1_weights = start_.l1_weights.index_select(0, continuing);
  update_rule_.keep(continuing);
}

}  // namespace anchorage::worker
