// Classifies each key that the config.json of a gpt2 or llama model is known to have.
#pragma once

#include <nlohmann/json_fwd.hpp>
#include <span>
#include <string>
#include <string_view>
#include <vector>

#include "io/model/model_config.hpp"

namespace anchorage::io {

// An option that changes what the model computes and is not implemented.
struct RefusedKey {
  std::string_view name;
  std::string_view plain;  // as JSON: the value that means "not used", as null always does
};
std::span<const RefusedKey> refused_keys();

// Whether the family reads the key.
bool is_used_key(std::string_view key, Family family);

// Returns the keys of the file, and of the rotary parameters inside ("rope_scaling.factor"), that are neither
// used nor refused nor known to have no effect on what the model computes; sorted.
std::vector<std::string> unknown_keys(const nlohmann::json& config, Family family);

}  // namespace anchorage::io
