#include "worker/editing/layer_solver.hpp"

#include "sharding/layer_owners.hpp"
#include "worker/matrix_conversion.hpp"
#include "worker/stopwatch.hpp"

namespace anchorage::worker {
namespace {

KeyMetric metric_of(const Method& method, const io::Hparams& hparams, const torch::Tensor& second_moment) {
  return method.null_space ? KeyMetric::from_null_space(second_moment, hparams.nullspace_threshold, hparams.L2)
                           : KeyMetric::from_second_moment(second_moment, hparams.mom2_update_weight);
}

}  // namespace

LayerSolver::LayerSolver(EditedWeights& weights, const io::Hparams& hparams, const Method& method,
                         const io::StatisticsFile& statistics, const Ranks& ranks)
    : method_(method), ranks_(ranks) {
  const auto& layers = weights.layers();
  const std::vector<std::int64_t> equal_costs(layers.size(), 1);
  const auto owners = sharding::layer_owners(equal_costs, ranks_.size());
  for (std::size_t i = 0; i < layers.size(); ++i) {
    owners_[layers[i]] = owners[i];
    if (!owns(layers[i])) continue;
    const auto moment = to_tensor(statistics.moment(layers[i]).moment).to(weights.master(layers[i]).device());
    metrics_.emplace(layers[i], metric_of(method_, hparams, moment.to(torch::kDouble)));
  }
}

void LayerSolver::solve(std::span<LayerUpdate> updates, sharding::BatchSeconds& seconds) const {
  for (LayerUpdate& update : updates) {
    const auto &keys = update.keys, &residuals = update.residuals;
    update.u = torch::empty({residuals.size(1), keys.size(0)}, keys.options());
    update.v = torch::empty({keys.size(1), keys.size(0)}, keys.options());
    if (!owns(update.layer)) continue;
    const Stopwatch watch(seconds.solve);
    const LowRankUpdate solution = metrics_.at(update.layer).solve(keys.t(), residuals.t());
    update.u.copy_(solution.u);
    update.v.copy_(solution.v);
  }
  const Stopwatch watch(seconds.communicate);
  for (LayerUpdate& update : updates) {
    ranks_.device.broadcast(update.u, owner(update.layer), "broadcast update");
    ranks_.device.broadcast(update.v, owner(update.layer), "broadcast update");
  }
}

void LayerSolver::absorb(std::int64_t layer, const torch::Tensor& keys) {
  if (method_.carries_keys && owns(layer)) metrics_.at(layer).absorb(keys.t());
}

}  // namespace anchorage::worker
