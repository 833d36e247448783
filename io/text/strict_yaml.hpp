// Strict parsing of YAML files that others wrote.
#pragma once

#include <yaml-cpp/yaml.h>

#include <string>

#include "io/error.hpp"

namespace anchorage::io {

// Parses a whole YAML text of one document; an empty document, as after a last "---", does not count. Control
// characters are errors: at some of them the library would stop silently. Errors: UserError with the
// diagnostic's expectation, place and remedy, and the line.
YAML::Node parse_strict_yaml(const std::string& text, const Diagnostic& diagnostic);

}  // namespace anchorage::io
