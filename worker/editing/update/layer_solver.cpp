#include "worker/editing/update/layer_solver.hpp"

#include "sharding/layer_owners.hpp"
#include "worker/editing/update/prior.hpp"
#include "worker/editing/update/removal.hpp"
#include "worker/matrix_conversion.hpp"
#include "worker/stopwatch.hpp"

namespace anchorage::worker {

LayerSolver::LayerSolver(EditedWeights& weights, const io::Hparams& hparams, const Method& method,
                         const io::StatisticsFile& statistics, const Communicators& ranks, const Stages& stages)
    : method_(method),
      communicators_(ranks),
      stages_(stages),
      layers_(weights.layers()),
      key_width_(weights.key_width()) {
  for (const auto& layers : layers_by_stage()) {
    const auto owners = sharding::layer_owners(std::vector<std::int64_t>(layers.size(), 1), communicators_.size());
    for (std::size_t i = 0; i < layers.size(); ++i) owners_[layers[i]] = owners[i];
  }
  for (const std::int64_t layer : layers_) {
    if (!owns(layer)) continue;
    const auto moment = to_tensor(statistics.moment(layer).moment).to(weights.master(layer).device());
    covariances_.emplace(layer, key_covariance_of(method_, hparams, moment.to(torch::kDouble)));
  }
}

std::vector<std::vector<std::int64_t>> LayerSolver::layers_by_stage() const {
  std::vector<std::vector<std::int64_t>> layers(static_cast<std::size_t>(stages_.count()));
  for (const std::int64_t layer : layers_)
    layers[static_cast<std::size_t>(stages_.stage_of(layer))].push_back(layer);
  return layers;
}

torch::Tensor LayerSolver::from_owner(const torch::Tensor& tensor, std::int64_t layer,
                                      std::string_view operation) const {
  if (stages_.holds(layer)) communicators_.device.broadcast(tensor, owner(layer), operation);
  return stages_.broadcast(tensor, stages_.stage_of(layer), tensor.sizes(), tensor.scalar_type(), operation);
}

std::map<std::int64_t, std::int64_t> LayerSolver::free_dimensions() const {
  std::map<std::int64_t, std::int64_t> free;
  for (const std::int64_t layer : layers_) {
    const auto own = torch::tensor({owns(layer) ? covariances_.at(layer).free_dimensions() : 0}, torch::kLong);
    free[layer] =
        from_owner(own.to(communicators_.device.device()), layer, "broadcast free dimensions").item<std::int64_t>();
  }
  return free;
}

void LayerSolver::refresh_owners(std::span<const std::int64_t> loads) {
  std::map<std::int64_t, std::int64_t> load_of;
  for (std::size_t i = 0; i < layers_.size(); ++i) load_of[layers_[i]] = loads[i];
  for (const auto& layers : layers_by_stage()) {
    std::vector<std::int64_t> costs;
    std::vector<int> present;
    for (const std::int64_t layer : layers) {
      costs.push_back(load_of.at(layer));
      present.push_back(owner(layer));
    }
    const auto refreshed = sharding::refreshed_layer_owners(costs, present, communicators_.size());
    for (std::size_t i = 0; i < layers.size(); ++i) {
      owners_[layers[i]] = refreshed[i];
      if (refreshed[i] != present[i] && stages_.holds(layers[i]))
        move_key_covariance(layers[i], present[i], refreshed[i]);
    }
  }
}

void LayerSolver::move_key_covariance(std::int64_t layer, int from, int to) {
  constexpr std::string_view operation = "move least squares to their new owner";
  if (communicators_.rank() == from) {
    const auto [system, inverse] = covariances_.at(layer).tensors();
    communicators_.device.send(system, to, operation);
    communicators_.device.send(inverse, to, operation);
    covariances_.erase(layer);
  } else if (communicators_.rank() == to) {
    const auto options = torch::TensorOptions(communicators_.device.device()).dtype(torch::kDouble);
    const auto receive = [&] {
      auto tensor = torch::empty({key_width_, key_width_}, options);
      communicators_.device.receive(tensor, from, operation);
      return tensor;
    };
    const auto system = receive();
    covariances_.emplace(layer, KeyCovariance::from_tensors(system, receive()));
  }
}

void LayerSolver::restore(const State& state) {
  owners_ = state.owners;
  covariances_ = state.covariances;
}

void LayerSolver::solve(std::span<LayerUpdate> updates, sharding::BatchSeconds& seconds) const {
  const auto activity = communicators_.world.activity("solve");
  for (LayerUpdate& update : updates) {
    const auto &keys = update.keys, &residuals = update.residuals;
    update.u = torch::empty({residuals.size(1), keys.size(0)}, keys.options());
    update.v = torch::empty({keys.size(1), keys.size(0)}, keys.options());
    if (!owns(update.layer)) continue;
    const Stopwatch watch(seconds.solve);
    const LowRankUpdate solution = covariances_.at(update.layer).solve(keys.t(), residuals.t());
    update.u.copy_(solution.u);
    update.v.copy_(solution.v);
  }
  const Stopwatch watch(seconds.communicate);
  for (LayerUpdate& update : updates) {
    update.u = from_owner(update.u, update.layer, "broadcast update");
    update.v = from_owner(update.v, update.layer, "broadcast update");
  }
}

std::vector<LayerRemoval> LayerSolver::solve_removal(const sharding::Removal& removal,
                                                     sharding::BatchSeconds& seconds) const {
  require_removable(method_);
  const auto activity = communicators_.world.activity("solve");
  std::vector<LayerRemoval> removals;
  for (const std::int64_t layer : layers_) {
    const Stopwatch watch(seconds.solve);
    const RemovalTerms terms = removal_terms(removal, layer);
    const auto options = torch::TensorOptions(communicators_.device.device());
    removals.push_back({.layer = layer,
                        .keys = terms.keys.to(options),
                        .u = terms.excess.to(options.dtype(torch::kFloat)),
                        .v = torch::empty({terms.keys.size(1), terms.keys.size(0)}, options)});
    if (owns(layer)) removals.back().v.copy_(removal_update(covariances_.at(layer), terms).v);
  }
  const Stopwatch watch(seconds.communicate);
  for (LayerRemoval& one : removals) {
    one.u = from_owner(one.u, one.layer, "broadcast removal");
    one.v = from_owner(one.v, one.layer, "broadcast removal");
  }
  return removals;
}

void LayerSolver::release(std::int64_t layer, const torch::Tensor& keys) {
  const auto activity = communicators_.world.activity("absorb");
  if (method_.carries_keys && owns(layer)) covariances_.at(layer).release(keys.t());
}

void LayerSolver::restore(std::int64_t layer, torch::Tensor system, torch::Tensor inverse) {
  covariances_.at(layer).restore(std::move(system), std::move(inverse));
}

void LayerSolver::absorb(std::int64_t layer, const torch::Tensor& keys) {
  const auto activity = communicators_.world.activity("absorb");
  if (method_.carries_keys && owns(layer)) covariances_.at(layer).absorb(keys.t());
}

}  // namespace anchorage::worker
