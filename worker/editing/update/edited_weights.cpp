#include "worker/editing/update/edited_weights.hpp"

#include <algorithm>
#include <cmath>

#include <torch/utils.h>

#include "io/error.hpp"
#include "sharding/slabs.hpp"
#include "worker/model/load.hpp"

namespace anchorage::worker {
namespace {

constexpr std::int64_t weight_rows_at_a_time = 1024;
constexpr std::int64_t squared_rows_at_a_time = 64;  // which are copied three times, in f64 too

// Computes |u v^T| in f64 without forming the product.
double update_norm(const torch::Tensor& u, const torch::Tensor& v) {
  const auto du = u.to(torch::kDouble), dv = v.to(torch::kDouble);
  const double squared = (at::mm(du.t(), du) * at::mm(dv.t(), dv)).sum().item<double>();
  return std::sqrt(std::max(0.0, squared));
}

// Computes |a - b|^2 in f64, with one wait for a GPU; `b`, of any dtype, may be undefined.
double squared_distance(const torch::Tensor& a, const torch::Tensor& b = {}) {
  const auto total = torch::zeros({}, a.options().dtype(torch::kDouble));
  for (const sharding::Range& rows : sharding::slab_rows(a.size(0), squared_rows_at_a_time)) {
    const auto part = [&](const torch::Tensor& whole) {
      return whole.narrow(0, rows.begin, rows.size()).to(torch::kFloat);
    };
    const auto difference = b.defined() ? part(a) - part(b) : part(a);
    total.add_(difference.to(torch::kDouble).square_().sum());
  }
  return total.item<double>();
}

}  // namespace

EditedWeights::EditedWeights(Transformer& model, const io::ModelDirectory& base,
                             const std::vector<std::int64_t>& layers)
    : model_(model), directory_(base), layers_(layers) {
  for (const std::int64_t layer : layers_) {
    if (!model_.holds(layer)) continue;
    const auto& own = model_.block(layer).down.weight;
    masters_[layer] = own.scalar_type() == torch::kFloat ? own.clone() : this->base(layer);
  }
}

void EditedWeights::add(std::int64_t layer, const torch::Tensor& u, const torch::Tensor& v) {
  if (!holds(layer)) return;
  const auto device = masters_.at(layer).device();
  waiting_[layer].push_back({.u = u.to(device), .v = v.to(device)});
  update_model(layer);
}

void EditedWeights::replay(std::int64_t layer, const torch::Tensor& u, const torch::Tensor& v) {
  if (!holds(layer)) return;
  io::check(waiting_.empty(), "a batch is replayed between two others");
  const torch::NoGradGuard no_gradients;
  const auto& master = masters_.at(layer);
  add_update(master, u.to(master.device()), v.to(master.device()));
  update_model(layer);
}

EditedWeights::Mark EditedWeights::mark() const {
  Mark mark;
  for (const auto& [layer, updates] : waiting_) mark[layer] = updates.size();
  return mark;
}

void EditedWeights::rewind(const Mark& mark) {
  std::vector<std::int64_t> changed;
  for (auto& [layer, updates] : waiting_) {
    const auto kept = mark.find(layer);
    const std::size_t count = kept == mark.end() ? 0 : kept->second;
    if (updates.size() == count) continue;
    updates.resize(count);
    changed.push_back(layer);
  }
  for (const std::int64_t layer : changed) update_model(layer);
  std::erase_if(waiting_, [](const auto& one) { return one.second.empty(); });
}

void EditedWeights::accept() {
  const torch::NoGradGuard no_gradients;
  for (const auto& [layer, updates] : waiting_) {
    const auto& master = masters_.at(layer);
    for_rows(layer, [&](std::int64_t begin, const torch::Tensor& rows) {
      master.narrow(0, begin, rows.size(0)).copy_(rows);
    });
  }
  waiting_.clear();
}

void EditedWeights::restore(std::int64_t layer, const torch::Tensor& master) {
  io::check(waiting_.empty(), "a weight is restored between two batches");
  masters_.at(layer).copy_(master);
  update_model(layer);
}

EditedWeights::BaseShown::BaseShown(EditedWeights& weights) : weights_(weights) {
  io::check(weights.waiting_.empty(), "the base is shown between two batches");
  const torch::NoGradGuard no_gradients;
  for (const auto& [layer, master] : weights.masters_)
    weights.model_.block(layer).down.weight.copy_(weights.base(layer));
}

EditedWeights::BaseShown::~BaseShown() {
  for (const auto& [layer, master] : weights_.masters_) weights_.update_model(layer);
}

void EditedWeights::for_rows(std::int64_t layer, const UseOfRows& use) const {
  const auto& master = masters_.at(layer);
  const auto waiting = waiting_.find(layer);
  for (const sharding::Range& rows : sharding::slab_rows(master.size(0), weight_rows_at_a_time)) {
    auto part = master.narrow(0, rows.begin, rows.size());
    if (waiting != waiting_.end()) {
      part = part.clone();
      for (const Update& update : waiting->second)
        part.addmm_(update.u.narrow(0, rows.begin, rows.size()), update.v.t());
    }
    use(rows.begin, part);
  }
}

void EditedWeights::update_model(std::int64_t layer) {
  const torch::NoGradGuard no_gradients;
  auto& own = model_.block(layer).down.weight;
  for_rows(layer,
           [&](std::int64_t begin, const torch::Tensor& rows) { own.narrow(0, begin, rows.size(0)).copy_(rows); });
}

io::LayerNorms EditedWeights::norms(std::int64_t layer, const torch::Tensor& u, const torch::Tensor& v) const {
  const torch::NoGradGuard no_gradients;
  const Base& base = base_of(layer);
  double total = 0;
  for_rows(layer, [&](std::int64_t begin, const torch::Tensor& rows) {
    total += squared_distance(rows, base.weight.narrow(0, begin, rows.size(0)));
  });
  return {.update = update_norm(u, v), .total = std::sqrt(total), .base = base.norm};
}

const EditedWeights::Base& EditedWeights::base_of(std::int64_t layer) const {
  const auto found = bases_.find(layer);
  if (found != bases_.end()) return found->second;
  Base base{.weight = mapped_down_projection(directory_, layer).to(model_.device())};
  base.norm = std::sqrt(squared_distance(base.weight));
  return bases_.emplace(layer, std::move(base)).first->second;
}

torch::Tensor EditedWeights::base(std::int64_t layer) const {
  return read_down_projection(directory_, layer).to(model_.device());
}

void add_update(const torch::Tensor& weight, const torch::Tensor& u, const torch::Tensor& v) {
  for (const sharding::Range& rows : sharding::slab_rows(weight.size(0), weight_rows_at_a_time))
    weight.narrow(0, rows.begin, rows.size()).addmm_(u.narrow(0, rows.begin, rows.size()), v.t());
}

io::LayerNorms layer_norms(const torch::Tensor& u, const torch::Tensor& v, const torch::Tensor& weight,
                           const torch::Tensor& base) {
  return {.update = update_norm(u, v),
          .total = (weight - base).to(torch::kDouble).norm().item<double>(),
          .base = base.to(torch::kDouble).norm().item<double>()};
}

}  // namespace anchorage::worker
