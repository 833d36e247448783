// JSON as it should be read from files that others made.
#pragma once

#include <nlohmann/json.hpp>
#include <string>
#include <string_view>

#include "io/error.hpp"

namespace anchorage::io {

// Parses a whole JSON text: a zero byte, which the library would take for the end, is an error, and so is anything
// after the one value. Also refused, though RFC 8259 leaves them to the reader: a name that occurs twice in one
// object, and more than `max_depth` objects and arrays inside one another. Errors: UserError with what is wrong,
// the place in the text, and the diagnostic's expectation, place and remedy.
nlohmann::json parse_strict_json(std::string_view text, const Diagnostic& diagnostic, std::size_t max_depth = 64);
// The same of a file of which no more is to be said.
nlohmann::json parse_strict_json(std::string_view text, const std::string& where, std::size_t max_depth = 64);

// Whether the whole text is one JSON value, repeated names and deep nesting aside.
bool is_json(std::string_view text);

// A value as a message shows it: its JSON text, cut off where that is long.
std::string shown(const nlohmann::json& value);

}  // namespace anchorage::io
