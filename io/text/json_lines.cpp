#include "io/text/json_lines.hpp"

#include <fmt/format.h>

#include "io/text/strict_json.hpp"

namespace anchorage::io {

std::optional<JsonLine> JsonLines::next() {
  for (std::string line; std::getline(stream_, line);) {
    ++number_;
    if (line.find_first_not_of(" \t\r") == line.npos) continue;
    Diagnostic diagnostic = diagnostic_;
    diagnostic.where = fmt::format("{}, line {}", diagnostic_.where, number_);
    return JsonLine{.value = parse_strict_json(line, diagnostic), .where = diagnostic.where};
  }
  return std::nullopt;
}

}  // namespace anchorage::io
