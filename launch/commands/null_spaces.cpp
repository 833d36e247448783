#include "launch/commands/null_spaces.hpp"

#include <fmt/ranges.h>

#include <vector>

#include "io/log.hpp"

namespace anchorage::launch {

nlohmann::json document_of(const NullSpaces& spaces) {
  auto layers = nlohmann::json::array();
  for (const auto& [layer, free] : spaces.free)
    layers.push_back({{"layer", layer}, {"free", free}, {"of", spaces.dimensions}});
  return layers;
}

void log_null_spaces(const NullSpaces& spaces, const io::Hparams& hparams) {
  std::vector<std::int64_t> unprotected;
  for (const auto& [layer, free] : spaces.free) {
    spdlog::info("layer {}: {} of {} dimensions lie below nullspace_threshold {} and are free for edits", layer,
                 free, spaces.dimensions, hparams.nullspace_threshold);
    if (free == spaces.dimensions) unprotected.push_back(layer);
  }
  if (unprotected.empty()) return;
  spdlog::warn(
      "nothing is protected in layers {}: every eigenvalue of the second moment lies below "
      "nullspace_threshold {}; lower it, it depends on the scale of the model's keys",
      fmt::join(unprotected, ", "), hparams.nullspace_threshold);
}

}  // namespace anchorage::launch
