// What a config.json may ask for and is refused by name, since it changes what the model computes.
#pragma once

#include <span>
#include <string>
#include <string_view>

#include "io/model/config_fields.hpp"
#include "io/model/family.hpp"

namespace anchorage::io {

struct RefusedKey {
  std::string_view name;
  std::string_view plain;  // as JSON: the value that means "not used", as null always does
};
std::span<const RefusedKey> refused_keys();

// Throws UserError for an option in use, unless the family reads it itself.
void refuse_unimplemented_options(const ConfigFields& fields, const FamilyTraits& traits);

// Throws UserError for a model type that is none of the families'; a mixture of experts is called that.
[[noreturn]] void refuse_model_type(const ConfigFields& fields, const std::string& type);

}  // namespace anchorage::io
