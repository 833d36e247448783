#include "worker/editing/update/layer_solver.hpp"

#include <algorithm>
#include <cstring>
#include <utility>

#include "io/error.hpp"
#include "io/log.hpp"
#include "worker/editing/update/prior.hpp"
#include "worker/editing/update/removal.hpp"
#include "worker/stopwatch.hpp"

namespace anchorage::worker {

LayerSolver::LayerSolver(const EditedWeights& weights, const io::Hparams& hparams, const Method& method,
                         const io::StatisticsFile& statistics, const Communicators& ranks, const Stages& stages,
                         SlabPlan plan, const std::optional<io::ProtectedKeys>& protected_keys)
    : method_(method),
      communicators_(ranks),
      stages_(stages),
      layers_(weights.layers()),
      capacities_(std::move(plan.capacities)) {
  const auto activity = communicators_.world.activity("invert");
  const int world = communicators_.world_device.size();
  const auto slabs = sharding::slabs_of(layers_.size(), weights.key_width(), plan.most_rows);
  if (capacities_.empty()) {
    const std::vector<std::int64_t> room(static_cast<std::size_t>(world), std::ssize(slabs));
    capacities_ = sharding::slab_capacities(std::ssize(slabs), room).value();
  }
  io::check(std::ssize(capacities_) == world, "places for slabs on every rank of the world");
  const auto owners = sharding::deal_slabs(std::vector<std::int64_t>(slabs.size(), 1), capacities_);

  std::vector<KeyPrior> priors;
  for (std::size_t i = 0; i < layers_.size(); ++i) {
    priors.push_back(key_prior_of(method_, hparams, statistics, layers_[i], protected_keys));
    priors.back().factored_by = static_cast<int>(i) % world;
    priors.back().factored_within = std::ssize(layers_);
    if (priors.back().null_space && priors.back().factored_by == communicators_.world_device.rank())
      priors.back().factor(communicators_.device.device(), weights.key_width());
  }
  for (std::size_t i = 0; i < layers_.size(); ++i) {
    SlabPlace place{
        .rows = {}, .owners = {}, .world = &communicators_.world_device, .device = communicators_.device.device()};
    for (std::size_t slab = 0; slab < slabs.size(); ++slab) {
      if (slabs[slab].layer != i) continue;
      place.rows.push_back(slabs[slab].rows);
      place.owners.push_back(owners[slab]);
    }
    covariances_.emplace(std::piecewise_construct, std::forward_as_tuple(layers_[i]),
                         std::forward_as_tuple(std::move(priors[i]), std::move(place)));
  }
  for (const auto& [layer, drift] : drifts()) {
    spdlog::debug("layer {}: first drift of the least squares {:.2g}", layer, drift);
    covariances_.at(layer).refreshed_at(drift);
  }
}

std::int64_t LayerSolver::place_of(std::int64_t layer) const {
  return std::ranges::find(layers_, layer) - layers_.begin();
}

int LayerSolver::leader(std::int64_t layer) const {
  return static_cast<int>(place_of(layer) % communicators_.size());
}

torch::Tensor LayerSolver::from_leader(const torch::Tensor& tensor, std::int64_t layer,
                                       std::string_view operation) const {
  if (stages_.holds(layer)) communicators_.device.broadcast(tensor, leader(layer), operation);
  return stages_.broadcast(tensor, stages_.stage_of(layer), tensor.sizes(), tensor.scalar_type(), operation);
}

std::map<std::int64_t, std::int64_t> LayerSolver::free_dimensions() const {
  std::map<std::int64_t, std::int64_t> free;
  for (const auto& [layer, covariance] : covariances_) free[layer] = covariance.free_dimensions();
  return free;
}

std::vector<int> LayerSolver::owners() const {
  std::vector<int> owners;
  for (const std::int64_t layer : layers_) {
    const auto& own = covariances_.at(layer).place().owners;
    owners.insert(owners.end(), own.begin(), own.end());
  }
  return owners;
}

// [b, f] f32 -> [f, b] f64.
torch::Tensor LayerSolver::keys_of(const torch::Tensor& rows) const {
  return rows.to(torch::TensorOptions(communicators_.device.device()).dtype(torch::kDouble)).t();
}

void LayerSolver::solve(std::span<LayerUpdate> updates, sharding::BatchSeconds& seconds) const {
  {
    const auto activity = communicators_.world.activity("products");
    const Stopwatch watch(seconds.solve);
    for (LayerUpdate& update : updates)
      update.products = covariances_.at(update.layer).own_products(keys_of(update.keys));
  }
  {
    const Stopwatch watch(seconds.communicate);
    for (const LayerUpdate& update : updates) covariances_.at(update.layer).share(update.products);
  }
  const auto activity = communicators_.world.activity("factor");
  for (LayerUpdate& update : updates) {
    const Stopwatch watch(seconds.solve);
    update.v = update.products.to(torch::kFloat);
    update.u = torch::empty({update.residuals.size(1), update.keys.size(0)}, update.keys.options());
    if (leads(update.layer))
      update.u.copy_(KeyCovariance::solve(keys_of(update.keys), update.residuals.t(), update.products).u);
  }
  const Stopwatch watch(seconds.communicate);
  for (LayerUpdate& update : updates) update.u = from_leader(update.u, update.layer, "broadcast update");
}

std::vector<LayerRemoval> LayerSolver::solve_removal(const sharding::Removal& removal,
                                                     sharding::BatchSeconds& seconds) const {
  const auto activity = communicators_.world.activity("products");
  require_removable(method_);
  std::vector<LayerRemoval> removals;
  for (const std::int64_t layer : layers_) {
    const Stopwatch watch(seconds.solve);
    const RemovalTerms terms = removal_terms(removal, layer);
    const auto options = torch::TensorOptions(communicators_.device.device());
    const auto keys = keys_of(terms.keys);
    removals.push_back({.layer = layer,
                        .keys = terms.keys.to(options),
                        .u = terms.excess.to(options.dtype(torch::kFloat)),
                        .v = torch::empty({terms.keys.size(1), terms.keys.size(0)}, options),
                        .products = covariances_.at(layer).products(keys)});
    LayerRemoval& one = removals.back();
    if (leads(layer)) one.v.copy_(KeyCovariance::directions_without(keys, one.products));
  }
  const Stopwatch watch(seconds.communicate);
  for (LayerRemoval& one : removals) {
    one.u = from_leader(one.u, one.layer, "broadcast removal");
    one.v = from_leader(one.v, one.layer, "broadcast removal");
  }
  return removals;
}

void LayerSolver::absorb(const LayerUpdate& update) {
  const auto activity = communicators_.world.activity("accept");
  if (method_.carries_keys) covariances_.at(update.layer).absorb(keys_of(update.keys), update.products);
}

void LayerSolver::release(const LayerRemoval& removal) {
  const auto activity = communicators_.world.activity("accept");
  if (method_.carries_keys) covariances_.at(removal.layer).release(keys_of(removal.keys), removal.products);
}

void LayerSolver::replay(std::int64_t layer, const KeyChange& change) {
  if (method_.carries_keys) covariances_.at(layer).replay(change);
}

// Gathers the slabs' squared errors from their owners and adds them in the order of rows.
std::map<std::int64_t, double> LayerSolver::drifts() const {
  std::vector<double> own;
  for (const std::int64_t layer : layers_) {
    const KeyCovariance& covariance = covariances_.at(layer);
    const auto squares = covariance.squared_errors();
    for (std::size_t slab = 0; slab < covariance.place().rows.size(); ++slab)
      own.push_back(covariance.owns(slab) ? squares.at(slab) : 0);
  }
  const auto all = communicators_.world.all_gather(std::as_bytes(std::span(own)), "gather drifts");
  std::map<std::int64_t, double> drifts;
  std::size_t next = 0;
  for (const std::int64_t layer : layers_) {
    double sum = 0;
    for (const int owner : covariances_.at(layer).place().owners) {
      double square = 0;
      std::memcpy(&square, all[static_cast<std::size_t>(owner)].data() + next++ * sizeof(double), sizeof(double));
      sum += square;
    }
    drifts[layer] = covariances_.at(layer).drift(sum);
  }
  return drifts;
}

bool LayerSolver::accept() {
  const auto activity = communicators_.world.activity("accept");
  if (!method_.carries_keys) return false;
  for (auto& [layer, covariance] : covariances_) covariance.accept();
  const auto found = drifts();
  for (const auto& [layer, drift] : found)
    spdlog::debug("layer {}: drift of the least squares {:.2g}", layer, drift);
  return std::ranges::any_of(
      found, [this](const auto& one) { return covariances_.at(one.first).needs_refresh(one.second); });
}

void LayerSolver::discard() {
  for (auto& [layer, covariance] : covariances_) covariance.discard();
}

void LayerSolver::refresh(std::span<const std::string> live) {
  const auto activity = communicators_.world.activity("invert");
  const auto before = drifts();
  for (auto& [layer, covariance] : covariances_) {
    if (!covariance.needs_refresh(before.at(layer))) continue;
    spdlog::info("layer {}: least squares are computed anew, since rounding has added up to {:.2g}", layer,
                 before.at(layer));
    covariance.refresh(key_changes(layer, live));
  }
  const auto after = drifts();
  for (auto& [layer, covariance] : covariances_) {
    if (covariance.needs_refresh(before.at(layer))) covariance.refreshed_at(after.at(layer));
  }
}

void LayerSolver::redeal(std::span<const std::int64_t> loads) {
  std::vector<std::int64_t> costs;
  std::vector<std::pair<std::int64_t, std::size_t>> slabs;  // layer, and the slab's number in it
  for (std::size_t i = 0; i < layers_.size(); ++i) {
    const std::size_t count = covariances_.at(layers_[i]).place().rows.size();
    for (std::size_t slab = 0; slab < count; ++slab) {
      costs.push_back(loads[i] / static_cast<std::int64_t>(count));
      slabs.emplace_back(layers_[i], slab);
    }
  }
  const auto present = owners();
  const auto dealt = sharding::redeal_slabs(costs, capacities_, present);
  for (const sharding::SlabMove& move : sharding::slab_moves(present, dealt, capacities_)) {
    const auto& [layer, slab] = slabs[move.slab];
    covariances_.at(layer).move(slab, move.to);
  }
}

}  // namespace anchorage::worker
