// Classifies each key that the config.json of a model of the families is known to have.
#pragma once

#include <nlohmann/json_fwd.hpp>
#include <string>
#include <string_view>
#include <vector>

#include "io/model/family.hpp"

namespace anchorage::io {

// Whether the key decides what a model of this family computes (model_config.cpp).
bool is_used_key(std::string_view key, const FamilyTraits& traits);

// Whether the family reads the key.
bool is_used_key(std::string_view key, Family family);

// Returns the keys of the file, and of the rotary parameters inside ("rope_scaling.factor"), that are neither
// used nor refused (config_refusals.hpp) nor known to have no effect on what the model computes; sorted.
std::vector<std::string> unknown_keys(const nlohmann::json& config, const FamilyTraits& traits);

}  // namespace anchorage::io
