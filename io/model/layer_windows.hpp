// Which of a model's layers attend to the nearest positions only, from its config.json.
#pragma once

#include <cstdint>
#include <vector>

#include "io/model/config_fields.hpp"
#include "io/model/family.hpp"

namespace anchorage::io {

// Returns for each layer how many positions a query sees, its own among them; 0 where it sees all before it.
// Errors: UserError for a file whose layers cannot be as it says.
std::vector<std::int64_t> read_windows(const ConfigFields& fields, const FamilyTraits& traits, std::int64_t layers);

// Whether a key of config.json decides that in a family.
bool is_window_key(std::string_view key, const FamilyTraits& traits);

}  // namespace anchorage::io
