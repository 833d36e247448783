// YAML as it should be read from files that others made.
#pragma once

#include <yaml-cpp/yaml.h>

#include <string>

#include "io/error.hpp"

namespace anchorage::io {

// Parses a whole YAML text of one document; an empty one, as after a last "---", does not count. Control
// characters, at some of which the library would stop without a word, are errors. Errors: UserError with the
// diagnostic's expectation, place and remedy, and the line.
YAML::Node parse_strict_yaml(const std::string& text, const Diagnostic& diagnostic);

}  // namespace anchorage::io
