#include "launch/program/rebuilt_weights.hpp"

#include "worker/editing/update/edited_weights.hpp"
#include "worker/matrix_conversion.hpp"
#include "worker/model/load.hpp"

namespace anchorage::launch {

std::map<std::int64_t, torch::Tensor> rebuilt_weights(const io::ModelDirectory& base,
                                                      const io::RunUpdates& updates) {
  std::map<std::int64_t, torch::Tensor> weights;
  updates.for_each([&](const io::RunUpdate& update) {
    auto [entry, added] = weights.try_emplace(update.layer);
    if (added) entry->second = worker::read_down_projection(base, update.layer);
    worker::add_update(entry->second, worker::to_tensor(update.u), worker::to_tensor(update.v));
  });
  return weights;
}

}  // namespace anchorage::launch
