// A config.json with some fields changed, as it is read.
#pragma once

#include <nlohmann/json.hpp>
#include <string>
#include <utility>

#include "io/model/model_config.hpp"
#include "tests/support/message_of.hpp"

namespace anchorage::io {

// The family's file with some fields changed; null removes nothing, it is a value.
inline ModelConfig with(nlohmann::json config, const nlohmann::json& changes) {
  config.update(changes);
  return parse_model_config(config, "config.json");
}

inline ModelConfig without(nlohmann::json config, const std::string& field) {
  config.erase(field);
  return parse_model_config(config, "config.json");
}

inline std::string refusal_of(nlohmann::json config, const nlohmann::json& changes) {
  return tests::message_of([&] { with(std::move(config), changes); });
}

}  // namespace anchorage::io
