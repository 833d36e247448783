#include "worker/editing/value_optimizer.hpp"

#include <cmath>

#include "io/error.hpp"

namespace anchorage::worker {
namespace {

// The update rule's memory: Adam's two moments, or the direction of normalised gradient descent. All [E, m, d] f32.
class Step {
 public:
  Step(const io::Hparams& hparams, const torch::Tensor& like)
      : hparams_(hparams), first_(torch::zeros_like(like)), second_(torch::zeros_like(like)) {}

  // The point after a step from `point` along `gradient`; `norms` [E] scales normalised steps.
  torch::Tensor operator()(const torch::Tensor& point, const torch::Tensor& gradient, const torch::Tensor& norms) {
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

  void keep(const torch::Tensor& index) {
    first_ = first_.index_select(0, index);
    second_ = second_.index_select(0, index);
  }

 private:
  const io::Hparams& hparams_;
  torch::Tensor first_, second_;
  int count_ = 0;
};

// The vectors scaled back into the ball |D_i| <= clamp_norm_factor * |z_i|.
torch::Tensor project(const torch::Tensor& point, const torch::Tensor& norms, double clamp) {
  const auto length = point.flatten(1).norm(2, 1);
  return point * at::clamp_max(clamp * norms / length.clamp_min(1e-30), 1.0).view({-1, 1, 1});
}

// Where a descent starts. `mask` and `l1_weights` [E, m, d] are those of the anchors, undefined for dense vectors.
struct Start {
  torch::Tensor point;       // [E, m, d] f32
  torch::Tensor mask;        // 0 or 1
  torch::Tensor l1_weights;  // eac_l1 / (saliency + eps)
  std::int64_t evaluations;
};

// The loop over steps. An edit that has converged leaves the group's tensors; the others go on.
class Descent {
 public:
  // Borrows `forward`, which holds the edits still going when the descent ends.
  Descent(InjectedForward& forward, const io::Hparams& hparams, Start start)
      : forward_(forward),
        hparams_(hparams),
        start_(std::move(start)),
        step_(hparams, start_.point),
        active_(torch::arange(forward_.edits(), start_.point.options().dtype(torch::kInt64))) {
    const auto per_edit = torch::zeros({forward_.edits()}, start_.point.options());
    if (start_.mask.defined()) start_.point = start_.point * start_.mask;
    values_ = {.injected = start_.point.clone(),
               .nll_before = per_edit.clone(),
               .nll = per_edit.clone(),
               .matches = per_edit.to(torch::kBool),
               .steps = per_edit.to(torch::kInt64)};
  }

  // Until every edit has converged; the point returned is the last one evaluated.
  OptimizedValues run_to_convergence() {
    for (std::int64_t evaluation = 0;; ++evaluation) {
      auto point = start_.point.detach().requires_grad_(true);
      const InjectedLoss loss = forward_.loss(point);
      const auto objective = objective_of(loss, point);
      record(loss, evaluation);
      const auto going = at::logical_not(converged(loss, objective)).nonzero().squeeze(1);
      if (going.size(0) == 0 || evaluation + 1 == start_.evaluations) return values_;
      advance(gradient_of(objective, point));
      if (going.size(0) < active_.size(0)) drop_all_but(going);
    }
  }

  // All steps for every edit; also the mean gradient [E, m, d]. The point returned is the one after the last step.
  std::pair<OptimizedValues, torch::Tensor> run_all_steps() {
    auto mean_gradient = torch::zeros_like(start_.point);
    for (std::int64_t evaluation = 0; evaluation < start_.evaluations; ++evaluation) {
      auto point = start_.point.detach().requires_grad_(true);
      const InjectedLoss loss = forward_.loss(point);
      record(loss, evaluation);
      const auto gradient = gradient_of(objective_of(loss, point), point);
      mean_gradient += gradient / static_cast<double>(start_.evaluations);
      advance(gradient);
    }
    values_.injected = start_.point;
    return {values_, mean_gradient};
  }

 private:
  torch::Tensor objective_of(const InjectedLoss& loss, const torch::Tensor& point) const {
    const auto norms = forward_.norms();
    auto objective = loss.nll + hparams_.kl_factor * loss.kl;
    // The square root's gradient at zero is infinite: the tiny summand makes it zero.
    const auto length = (point.square().flatten(1).sum(1) + 1e-24).sqrt();
    objective = objective + hparams_.v_weight_decay * length / norms.square();
    if (start_.l1_weights.defined()) objective = objective + (start_.l1_weights * point.abs()).flatten(1).sum(1);
    return objective;
  }

  torch::Tensor gradient_of(const torch::Tensor& objective, const torch::Tensor& point) const {
    auto gradient = torch::autograd::grad({objective.sum()}, {point}).front();
    return start_.mask.defined() ? gradient * start_.mask : gradient;
  }

  torch::Tensor converged(const InjectedLoss& loss, const torch::Tensor& objective) const {
    const auto low = objective.detach() < hparams_.early_stop_loss;
    return hparams_.early_stop == io::EarlyStop::argmax ? at::logical_or(low, loss.matches) : low;
  }

  void advance(const torch::Tensor& gradient) {
    auto next = step_(start_.point, gradient, forward_.norms());
    if (start_.mask.defined()) next = next * start_.mask;
    start_.point = project(next, forward_.norms(), hparams_.clamp_norm_factor);
  }

  void record(const InjectedLoss& loss, std::int64_t evaluation) {
    const auto nll = loss.nll.detach().to(values_.nll.scalar_type());
    values_.injected.index_copy_(0, active_, start_.point);
    if (evaluation == 0) values_.nll_before.index_copy_(0, active_, nll);
    values_.nll.index_copy_(0, active_, nll);
    values_.matches.index_copy_(0, active_, loss.matches);
    values_.steps.index_fill_(0, active_, evaluation + 1);
  }

  void drop_all_but(const torch::Tensor& going) {
    active_ = active_.index_select(0, going);
    start_.point = start_.point.index_select(0, going);
    if (start_.mask.defined()) start_.mask = start_.mask.index_select(0, going);
    if (start_.l1_weights.defined()) start_.l1_weights = start_.l1_weights.index_select(0, going);
    step_.keep(going);
    const auto on_host = going.cpu();
    forward_.keep({on_host.data_ptr<std::int64_t>(), static_cast<std::size_t>(on_host.numel())});
  }

  InjectedForward& forward_;
  const io::Hparams& hparams_;
  Start start_;
  Step step_;
  torch::Tensor active_;  // [edits still going] i64: their numbers in the group
  OptimizedValues values_;
};

torch::Tensor origin(const InjectedForward& forward) {
  return torch::zeros({forward.edits(), forward.injected_layers(), forward.d_model()},
                      torch::TensorOptions(forward.norms().device()).dtype(torch::kFloat));
}

// 1 at the `share` of each edit's entries with the highest saliency, 0 elsewhere; ties go to the lower index.
torch::Tensor anchors_of(const torch::Tensor& saliency, double share) {
  const auto flat = saliency.flatten(1);
  const auto count = std::max<std::int64_t>(1, std::llround(share * static_cast<double>(flat.size(1))));
  const auto order = at::argsort(flat, /*stable=*/true, /*dim=*/1, /*descending=*/true);
  return torch::zeros_like(flat).scatter(1, order.narrow(1, 0, count), 1.0).view_as(saliency);
}

}  // namespace

OptimizedValues optimize_values(InjectedForward forward, const io::Hparams& hparams) {
  return Descent(forward, hparams,
                 {.point = origin(forward), .mask = {}, .l1_weights = {}, .evaluations = hparams.v_num_grad_steps})
      .run_to_convergence();
}

LocatedValues locate_anchors(InjectedForward forward, const io::Hparams& hparams) {
  const auto [dense, gradient] =
      Descent(forward, hparams,
              {.point = origin(forward), .mask = {}, .l1_weights = {}, .evaluations = hparams.eac_locate_steps})
          .run_all_steps();
  return {.dense = dense, .saliency = (gradient * dense.injected).abs()};
}

OptimizedValues compress_to_anchors(InjectedForward forward, const io::Hparams& hparams,
                                    const LocatedValues& located, const torch::Tensor& anchors) {
  // The constant of the published code, which keeps the weight of an entry without saliency finite.
  constexpr double epsilon = 1e-6;
  auto values = Descent(forward, hparams,
                        {.point = located.dense.injected,
                         .mask = anchors,
                         .l1_weights = hparams.eac_l1 / (located.saliency + epsilon),
                         .evaluations = hparams.eac_compress_steps})
                    .run_to_convergence();
  values.nll_before = located.dense.nll_before;
  values.steps = values.steps + hparams.eac_locate_steps;
  return values;
}

OptimizedValues optimize_anchored_values(const InjectedForward& forward, const io::Hparams& hparams) {
  const LocatedValues located = locate_anchors(forward, hparams);
  return compress_to_anchors(forward, hparams, located, anchors_of(located.saliency, hparams.eac_anchor_ratio));
}

}  // namespace anchorage::worker
