#include "worker/editing/values/value_optimizer.hpp"

#include <torch/csrc/autograd/autograd.h>
#include <torch/utils.h>
#include <algorithm>
#include <cmath>
#include <optional>
#include <utility>

#include "io/error.hpp"
#include "worker/editing/values/loss_evaluation.hpp"

namespace anchorage::worker {
namespace {

// The update rule with its state: Adam with two moments, or normalized gradient descent. All [E, m, d] f32.
class UpdateRule {
 public:
  UpdateRule(const io::Hparams& hparams, const torch::Tensor& like)
      : hparams_(hparams), first_(torch::zeros_like(like)), second_(torch::zeros_like(like)) {}

  // Returns the point after a step from `point` along `gradient`; `norms` [E] scales normalized steps.
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

// Scales the vectors back into the ball |D_i| <= clamp_norm_factor * |z_i|.
torch::Tensor project(const torch::Tensor& point, const torch::Tensor& norms, double clamp) {
  const auto length = point.flatten(1).norm(2, 1);
  return point * at::clamp_max(clamp * norms / length.clamp_min(1e-30), 1.0).view({-1, 1, 1});
}

// Where an optimization starts and ends. `mask` and `l1_weights` [E, m, d] belong to the anchors and are
// undefined for dense vectors.
struct Start {
  torch::Tensor point;       // [E, m, d] f32
  torch::Tensor mask;        // 0 or 1
  torch::Tensor l1_weights;  // eac_l1 / (saliency + eps)
  std::int64_t evaluations;
  bool until_converged;
};

// Optimizes the values of one group, each step in the parts that LossEvaluation describes. With
// `until_converged`, a converged edit leaves the group's tensors while the others continue, and the result is
// the last evaluated point; without it, every edit takes all steps, and the result is the point after the
// last step.
class GroupOptimizer {
 public:
  GroupOptimizer(InjectedForward forward, const io::Hparams& hparams, Start start)
      : forward_(std::make_unique<InjectedForward>(std::move(forward))),
        hparams_(hparams),
        start_(std::move(start)),
        update_rule_(hparams, start_.point),
        active_(torch::arange(forward_->edits(), start_.point.options().dtype(torch::kInt64))),
        mean_gradient_(torch::zeros_like(start_.point)) {
    if (start_.mask.defined()) start_.point = start_.point * start_.mask;
    values_ = start_.point.clone();
  }

  InjectedForward& forward() { return *forward_; }
  LossEvaluation& evaluation() { return *evaluation_; }
  bool is_active() const { return is_active_; }
  const torch::Tensor& values() const { return values_; }                // [E, m, d]
  const torch::Tensor& mean_gradient() const { return mean_gradient_; }  // [E, m, d], without `until_converged`

  void evaluate() { evaluation_.emplace(*forward_, start_.point); }

  void check_convergence(const InjectedLoss& loss) {
    values_.index_copy_(0, active_, start_.point);
    ++evaluated_;
    if (!start_.until_converged) return;
    continuing_ = at::logical_not(converged(loss)).nonzero().squeeze(1);
    is_active_ = continuing_.size(0) > 0 && evaluated_ < start_.evaluations;
    if (!is_active_) evaluation_.reset();
  }

  void backward() { evaluation_->backward(hparams_.kl_factor); }

  void step(const torch::Tensor& gradient_of_loss) {
    const auto gradient = masked(gradient_of_loss + penalty_gradient());
    evaluation_.reset();
    const auto next = masked(update_rule_(start_.point, gradient, forward_->norms()));
    start_.point = project(next, forward_->norms(), hparams_.clamp_norm_factor);
    if (start_.until_converged) {
      if (continuing_.size(0) < active_.size(0)) drop_all_but(continuing_);
      return;
    }
    mean_gradient_ += gradient / static_cast<double>(start_.evaluations);
    is_active_ = evaluated_ < start_.evaluations;
    if (!is_active_) values_ = start_.point;
  }

  // Packs the result for stages that took no part: [E, m, d], or with the mean gradient [E, 2 m, d].
  torch::Tensor packed() const { return start_.until_converged ? values_ : at::cat({values_, mean_gradient_}, 1); }

  void take(const torch::Tensor& packed) {
    const std::int64_t layers = values_.size(1);
    values_.copy_(packed.narrow(1, 0, layers));
    if (!start_.until_converged) mean_gradient_.copy_(packed.narrow(1, layers, layers));
    is_active_ = false;
  }

  std::int64_t evaluations() const { return start_.evaluations; }

 private:
  // Returns the terms of the objective that do not depend on the model: [E].
  torch::Tensor penalty(const torch::Tensor& point) const {
    // The square root's gradient at zero is infinite; the tiny summand makes it zero.
    const auto length = (point.square().flatten(1).sum(1) + 1e-24).sqrt();
    auto decay = hparams_.v_weight_decay * length / forward_->norms().square();
    if (!start_.l1_weights.defined()) return decay;
    return decay + (start_.l1_weights * point.abs()).flatten(1).sum(1);
  }

  torch::Tensor penalty_gradient() const {
    const torch::AutoGradMode gradients(true);
    const auto point = start_.point.detach().requires_grad_(true);
    return torch::autograd::grad({penalty(point).sum()}, {point}).front();
  }

  torch::Tensor masked(const torch::Tensor& entries) const {
    return start_.mask.defined() ? entries * start_.mask : entries;
  }

  torch::Tensor converged(const InjectedLoss& loss) const {
    const auto objective = loss.nll + hparams_.kl_factor * loss.kl + penalty(start_.point);
    const auto low = objective < hparams_.early_stop_loss;
    return hparams_.early_stop == io::EarlyStop::argmax ? at::logical_or(low, loss.matches) : low;
  }

  void drop_all_but(const torch::Tensor& continuing) {
    active_ = active_.index_select(0, continuing);
    start_.point = start_.point.index_select(0, continuing);
    if (start_.mask.defined()) start_.mask = start_.mask.index_select(0, continuing);
    if (start_.l1_weights.defined()) start_.l1_weights = start_.l1_weights.index_select(0, continuing);
    update_rule_.keep(continuing);
    const auto on_host = continuing.cpu();
    forward_->keep({on_host.data_ptr<std::int64_t>(), static_cast<std::size_t>(on_host.numel())});
  }

  std::unique_ptr<InjectedForward> forward_;  // its address is stable while an evaluation borrows it
  const io::Hparams& hparams_;
  Start start_;
  UpdateRule update_rule_;
  torch::Tensor active_;  // [active edits] i64: their indices in the group
  torch::Tensor mean_gradient_, values_;
  std::optional<LossEvaluation> evaluation_;
  torch::Tensor continuing_;  // indices into active_
  std::int64_t evaluated_ = 0;
  bool is_active_ = true;
};

// Optimizes all groups to their end, all of them step by step together.
void optimize_together(std::vector<GroupOptimizer>& groups) {
  std::vector<GroupOptimizer*> active;
  std::vector<InjectedForward*> forwards;
  for (GroupOptimizer& group : groups) {
    active.push_back(&group);
    forwards.push_back(&group.forward());
  }
  InjectedForward::share_norms(forwards);
  const auto evaluations = [&] {
    std::vector<LossEvaluation*> each;
    for (GroupOptimizer* group : active) each.push_back(&group->evaluation());
    return each;
  };
  const auto drop_finished = [&] {
    std::erase_if(active, [](const GroupOptimizer* group) { return !group->is_active(); });
  };
  while (!active.empty()) {
    for (GroupOptimizer* group : active) group->evaluate();
    const auto losses = LossEvaluation::losses(evaluations());
    for (std::size_t i = 0; i < active.size(); ++i) active[i]->check_convergence(losses[i]);
    drop_finished();
    if (active.empty()) return;
    for (GroupOptimizer* group : active) group->backward();
    const auto gradients = LossEvaluation::gradients(evaluations());
    for (std::size_t i = 0; i < active.size(); ++i) active[i]->step(gradients[i]);
    drop_finished();
  }
}

// The stages that take part optimize all groups; the stages before them receive the results in one broadcast.
void run(std::vector<GroupOptimizer>& groups) {
  const InjectedForward& forward = groups.front().forward();
  const Stages& stages = forward.model().stages;
  if (forward.takes_part()) optimize_together(groups);
  if (forward.first_stage() == 0) return;
  std::vector<torch::Tensor> own;
  for (const GroupOptimizer& group : groups) own.push_back(group.packed());
  const auto packed = at::cat(own);
  const auto found = stages.broadcast(packed, stages.last(), packed.sizes(), packed.scalar_type(),
                                      "broadcast values", sharding::Timeout::steps(groups.front().evaluations()));
  if (forward.takes_part()) return;
  std::int64_t begin = 0;
  for (std::size_t i = 0; i < groups.size(); ++i) {
    groups[i].take(found.narrow(0, begin, own[i].size(0)));
    begin += own[i].size(0);
  }
}

std::vector<torch::Tensor> found_by(std::vector<GroupOptimizer>& groups) {
  run(groups);
  std::vector<torch::Tensor> values;
  for (const GroupOptimizer& group : groups) values.push_back(group.values());
  return values;
}

torch::Tensor origin(const InjectedForward& forward) {
  return torch::zeros({forward.edits(), forward.injected_layers(), forward.d_model()},
                      torch::TensorOptions(forward.model().device()).dtype(torch::kFloat));
}

// Returns 1 at the `share` of each edit's entries with the highest saliency, 0 elsewhere; ties go to the
// lower index.
torch::Tensor anchors_of(const torch::Tensor& saliency, double share) {
  const auto flat = saliency.flatten(1);
  const auto count = std::max<std::int64_t>(1, std::llround(share * static_cast<double>(flat.size(1))));
  const auto order = at::argsort(flat, /*stable=*/true, /*dim=*/1, /*descending=*/true);
  return torch::zeros_like(flat).scatter(1, order.narrow(1, 0, count), 1.0).view_as(saliency);
}

}  // namespace

std::vector<torch::Tensor> optimize_values(std::vector<InjectedForward> groups, const io::Hparams& hparams) {
  std::vector<GroupOptimizer> optimizers;
  for (InjectedForward& group : groups) {
    auto point = origin(group);
    optimizers.emplace_back(std::move(group), hparams,
                            Start{.point = std::move(point),
                                  .mask = {},
                                  .l1_weights = {},
                                  .evaluations = hparams.v_num_grad_steps,
                                  .until_converged = true});
  }
  return found_by(optimizers);
}

std::vector<LocatedValues> locate_anchors(std::vector<InjectedForward> groups, const io::Hparams& hparams) {
  std::vector<GroupOptimizer> optimizers;
  for (InjectedForward& group : groups) {
    auto point = origin(group);
    optimizers.emplace_back(std::move(group), hparams,
                            Start{.point = std::move(point),
                                  .mask = {},
                                  .l1_weights = {},
                                  .evaluations = hparams.eac_locate_steps,
                                  .until_converged = false});
  }
  run(optimizers);
  std::vector<LocatedValues> located;
  for (const GroupOptimizer& optimizer : optimizers) {
    located.push_back(
        {.dense = optimizer.values(), .saliency = (optimizer.mean_gradient() * optimizer.values()).abs()});
  }
  return located;
}

std::vector<torch::Tensor> compress_to_anchors(std::vector<InjectedForward> groups, const io::Hparams& hparams,
                                               std::span<const LocatedValues> located,
                                               std::span<const torch::Tensor> anchors) {
  // The constant of the published code, which keeps the weight of an entry without saliency finite.
  constexpr double epsilon = 1e-6;
  std::vector<GroupOptimizer> optimizers;
  for (std::size_t i = 0; i < groups.size(); ++i) {
    optimizers.emplace_back(std::move(groups[i]), hparams,
                            Start{.point = located[i].dense,
                                  .mask = anchors[i],
                                  .l1_weights = hparams.eac_l1 / (located[i].saliency + epsilon),
                                  .evaluations = hparams.eac_compress_steps,
                                  .until_converged = true});
  }
  return found_by(optimizers);
}

std::vector<torch::Tensor> optimize_anchored_values(const std::vector<InjectedForward>& groups,
                                                    const io::Hparams& hparams) {
  const auto located = locate_anchors(groups, hparams);
  std::vector<torch::Tensor> anchors;
  for (const LocatedValues& group : located)
    anchors.push_back(anchors_of(group.saliency, hparams.eac_anchor_ratio));
  return compress_to_anchors(groups, hparams, located, anchors);
}

}  // namespace anchorage::worker
