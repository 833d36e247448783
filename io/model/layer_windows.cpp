#include "io/model/layer_windows.hpp"

#include <algorithm>

#include "io/text/strict_json.hpp"

namespace anchorage::io {
namespace {

constexpr std::string_view types_key = "layer_types", local_type = "sliding_attention",
                           global_type = "full_attention";

// The window of those layers that have one; 0 where none has.
std::int64_t window_of(const ConfigFields& fields, const WindowTraits& traits) {
  if (traits.rule == WindowRule::none) return 0;
  if (traits.rule == WindowRule::upper_layers && !fields.flag_or("use_sliding_window", false)) return 0;
  if (!fields.has("sliding_window")) return traits.default_window;
  return fields.size_or("sliding_window", 0);
}

// Whether each layer has the window, where 'layer_types' does not say it.
std::vector<bool> by_rule(const ConfigFields& fields, const WindowTraits& traits, std::int64_t layers,
                          std::int64_t window) {
  std::vector<bool> local(static_cast<std::size_t>(layers), window > 0);
  if (traits.rule == WindowRule::upper_layers) {
    const nlohmann::json* const field = fields.find("max_window_layers");
    const std::int64_t below = field != nullptr && *field == 0 ? 0 : fields.size_or("max_window_layers", 28);
    std::fill_n(local.begin(), std::min(layers, below), false);
  }
  if (traits.rule == WindowRule::between_global) {
    const std::int64_t every = fields.size_or("sliding_window_pattern", traits.global_every);
    for (std::int64_t layer = every - 1; layer < layers; layer += every)
      local[static_cast<std::size_t>(layer)] = false;
  }
  return local;
}

std::vector<bool> by_types(const ConfigFields& fields, const nlohmann::json& types, std::int64_t layers) {
  if (!types.is_array() || std::ssize(types) != layers) {
    fields.refuse(fmt::format("'{}' to be a list of {} names, one for each layer", types_key, layers),
                  shown(types));
  }
  std::vector<bool> local;
  for (const nlohmann::json& type : types) {
    if (type != local_type && type != global_type) {
      fields.refuse_unimplemented(fmt::format("'{}' to name {} or {}", types_key, global_type, local_type),
                                  shown(type));
    }
    local.push_back(type == local_type);
  }
  return local;
}

}  // namespace

std::vector<std::int64_t> read_windows(const ConfigFields& fields, const FamilyTraits& traits,
                                       std::int64_t layers) {
  const WindowTraits& rule = traits.windows;
  const std::int64_t window = window_of(fields, rule);
  std::vector<bool> local = by_rule(fields, rule, layers, window);
  if (const nlohmann::json* const types = fields.find(types_key)) {
    const std::vector<bool> named = by_types(fields, *types, layers);
    const bool has_local = std::ranges::count(named, true) > 0;
    if (!rule.layer_types_decide && named != local) {
      fields.refuse_unimplemented(fmt::format("'{}' to name the layers of a {} as transformers computes them",
                                              types_key, traits.model_type),
                                  shown(*types));
    }
    if (has_local && window == 0) {
      fields.refuse(fmt::format("a 'sliding_window' that is in use, for the layers that '{}' calls {}", types_key,
                                local_type),
                    "none");
    }
    local = named;
  }
  std::vector<std::int64_t> windows;
  for (const bool is_local : local) windows.push_back(is_local ? window : 0);
  return windows;
}

bool is_window_key(std::string_view key, const FamilyTraits& traits) {
  if (key == types_key) return true;
  switch (traits.windows.rule) {
    case WindowRule::none:
      return false;
    case WindowRule::all_layers:
      return key == "sliding_window";
    case WindowRule::upper_layers:
      return key == "sliding_window" || key == "use_sliding_window" || key == "max_window_layers";
    case WindowRule::between_global:
      return key == "sliding_window" || key == "sliding_window_pattern";
  }
  return false;
}

}  // namespace anchorage::io
