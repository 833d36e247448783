#include "worker/editing/update/edited_weights.hpp"

#include <algorithm>
#include <cmath>

#include <torch/utils.h>

#include "worker/model/load.hpp"

namespace anchorage::worker {

EditedWeights::EditedWeights(Transformer& model, const io::ModelDirectory& base,
                             const std::vector<std::int64_t>& layers)
    : model_(model), directory_(base), layers_(layers) {
  for (const std::int64_t layer : layers_) {
    if (!model_.holds(layer)) continue;
    const auto& own = model_.block(layer).down.weight;
    masters_[layer] = own.scalar_type() == torch::kFloat ? own : this->base(layer);
  }
}

void EditedWeights::add(std::int64_t layer, const torch::Tensor& u, const torch::Tensor& v) {
  if (!holds(layer)) return;
  const torch::NoGradGuard no_gradients;
  auto& master = masters_.at(layer);
  master.addmm_(u.to(master.device()), v.to(master.device()).t());
  update_model(layer);
}

EditedWeights::Snapshot EditedWeights::snapshot() const {
  Snapshot snapshot;
  for (const auto& [layer, master] : masters_) snapshot[layer] = master.clone();
  return snapshot;
}

void EditedWeights::restore(const Snapshot& snapshot) {
  const torch::NoGradGuard no_gradients;
  for (const auto& [layer, master] : snapshot) {
    masters_.at(layer).copy_(master);
    update_model(layer);
  }
}

void EditedWeights::update_model(std::int64_t layer) {
  const auto& master = masters_.at(layer);
  auto& own = model_.block(layer).down.weight;
  if (!own.is_same(master)) own.copy_(master);
}

torch::Tensor EditedWeights::base(std::int64_t layer) const {
  return read_down_projection(directory_, layer).to(model_.device());
}

io::LayerNorms layer_norms(const torch::Tensor& u, const torch::Tensor& v, const torch::Tensor& weight,
                           const torch::Tensor& base) {
  const auto du = u.to(torch::kDouble), dv = v.to(torch::kDouble);
  const double squared = (at::mm(du.t(), du) * at::mm(dv.t(), dv)).sum().item<double>();
  return {.update = std::sqrt(std::max(0.0, squared)),
          .total = (weight - base).to(torch::kDouble).norm().item<double>(),
          .base = base.to(torch::kDouble).norm().item<double>()};
}

}  // namespace anchorage::worker
