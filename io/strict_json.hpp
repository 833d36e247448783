// JSON as it should be read from files that others made.
#pragma once

#include <nlohmann/json.hpp>
#include <string>
#include <string_view>

namespace anchorage::io {

// Parses a whole JSON text. Also refused, though RFC 8259 leaves them to the reader: a name that occurs twice in
// one object, and more than `max_depth` objects and arrays inside one another. Errors: UserError, with `where` and
// what is wrong.
nlohmann::json parse_strict_json(std::string_view text, const std::string& where, std::size_t max_depth = 64);

// A value as a message shows it: its JSON text, cut off where that is long.
std::string shown(const nlohmann::json& value);

}  // namespace anchorage::io
