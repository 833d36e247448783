#include "worker/editing/update/joint_write.hpp"

#include <utility>

#include "io/log.hpp"
#include "worker/stopwatch.hpp"

namespace anchorage::worker {

JointWrite::JointWrite(EditedWeights& weights, const LayerSolver& solver, std::vector<torch::Tensor> values,
                       Keys keys, std::vector<torch::Tensor> slopes, sharding::BatchSeconds& seconds)
    : weights_(weights),
      solver_(solver),
      values_(std::move(values)),
      keys_(std::move(keys)),
      slopes_(std::move(slopes)),
      seconds_(seconds),
      unedited_(weights.mark()),
      holders_(torch::zeros_like(values_.front())) {
  for (const torch::Tensor& layer : values_) holders_ += layer.ne(0);
}

std::vector<LayerUpdate> JointWrite::run(const std::vector<torch::Tensor>& injected_keys, int correction_sweeps) {
  std::vector<LayerUpdate> updates = write_at_once(injected_keys);
  if (correction_sweeps == 0) return updates;
  const auto squared_norm = [](const torch::Tensor& rows) {
    return rows.to(torch::kDouble).square().sum().item<double>();
  };
  double least = squared_norm(remaining_now(updates));
  auto accumulated_error = torch::zeros_like(holders_);
  for (int sweep = 0; sweep < correction_sweeps; ++sweep) {
    auto corrected = write_upward(accumulated_error);
    const double left = squared_norm(corrected.remaining);
    spdlog::debug("correction sweep {}: |remaining|^2 {:.5g}, {:.5g} before", sweep + 1, left, least);
    if (!(left < least)) {
      weights_.rewind(unedited_);
      add(updates);
      break;
    }
    updates = std::move(corrected.updates);
    least = left;
    accumulated_error += corrected.remaining / holders_.clamp_min(1);
  }
  return updates;
}

std::vector<LayerUpdate> JointWrite::write_at_once(const std::vector<torch::Tensor>& injected_keys) {
  std::vector<LayerUpdate> updates;
  for (std::size_t i = 0; i < values_.size(); ++i) {
    updates.push_back({.layer = weights_.layers()[i],
                       .keys = injected_keys[i],
                       .residuals = values_[i],
                       .u = {},
                       .v = {},
                       .products = {}});
  }
  solver_.solve(updates, seconds_);
  add(updates);
  return updates;
}

void JointWrite::add(std::span<const LayerUpdate> updates) {
  for (const LayerUpdate& update : updates) weights_.add(update.layer, update.u, update.v);
}

JointWrite::Written JointWrite::write_upward(const torch::Tensor& accumulated_error) {
  weights_.rewind(unedited_);
  Written written{.updates = {}, .remaining = torch::zeros_like(holders_)};
  for (std::size_t i = 0; i < values_.size(); ++i) {
    const std::int64_t layer = weights_.layers()[i];
    const auto targets = values_[i] + out_of_stream(i, written.remaining);
    written.updates.push_back({.layer = layer,
                               .keys = keys_.of_layer(layer),
                               .residuals = targets + out_of_stream(i, accumulated_error * values_[i].ne(0)),
                               .u = {},
                               .v = {},
                               .products = {}});
    LayerUpdate& update = written.updates.back();
    solver_.solve(std::span(&update, 1), seconds_);
    weights_.add(layer, update.u, update.v);
    written.remaining = into_stream(i, remaining(targets, update, update.keys));
  }
  return written;
}

// Measures at the keys that the edited weights give.
torch::Tensor JointWrite::remaining_now(std::span<const LayerUpdate> updates) const {
  const auto keys = keys_.of_all();
  auto sum = torch::zeros_like(holders_);
  for (std::size_t i = 0; i < updates.size(); ++i)
    sum += into_stream(i, remaining(values_[i], updates[i], keys[i]));
  return sum;
}

torch::Tensor JointWrite::into_stream(std::size_t i, const torch::Tensor& change) const {
  return slopes_.empty() ? change : change * slopes_[i].select(1, 0);
}

torch::Tensor JointWrite::out_of_stream(std::size_t i, const torch::Tensor& change) const {
  return slopes_.empty() ? change : change * slopes_[i].select(1, 1);
}

torch::Tensor JointWrite::remaining(const torch::Tensor& targets, const LayerUpdate& update,
                                    const torch::Tensor& keys) const {
  const auto rest = torch::empty_like(targets);
  if (solver_.leads(update.layer)) {
    const auto u = update.u.to(torch::kDouble), v = update.v.to(torch::kDouble);
    const auto written = at::mm(at::mm(keys.to(torch::kDouble), v), u.t());
    rest.copy_((targets.to(torch::kDouble) - written) * holders_.gt(0));
  }
  const Stopwatch watch(seconds_.communicate);
  return solver_.from_leader(rest, update.layer, "broadcast remaining residuals");
}

}  // namespace anchorage::worker
