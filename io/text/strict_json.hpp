// Strict parsing of JSON files that others wrote.
#pragma once

#include <nlohmann/json.hpp>
#include <string>
#include <string_view>

#include "io/error.hpp"

namespace anchorage::io {

// Parses a whole JSON text: a zero byte, which the library would take for the end, is an error, and so is
// anything after the one value. Also refuses what RFC 8259 leaves to the reader: a name that occurs twice in
// one object, and objects and arrays nested deeper than `max_depth`. Errors: UserError with what is wrong,
// the place in the text, and the diagnostic's expectation, place and remedy.
nlohmann::json parse_strict_json(std::string_view text, const Diagnostic& diagnostic, std::size_t max_depth = 64);
// Parses with a diagnostic that has only the place `where`.
nlohmann::json parse_strict_json(std::string_view text, const std::string& where, std::size_t max_depth = 64);

// Whether the whole text is one JSON value, repeated names and deep nesting aside.
bool is_json(std::string_view text);

// Renders a value for a message: its JSON text, cut off where that is long.
std::string shown(const nlohmann::json& value);

}  // namespace anchorage::io
