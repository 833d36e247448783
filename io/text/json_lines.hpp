// Reads JSON Lines, one value at a time, from a stream that may have no end.
#pragma once

#include <nlohmann/json.hpp>

#include <cstdint>
#include <istream>
#include <optional>
#include <string>

#include "io/error.hpp"

namespace anchorage::io {

struct JsonLine {
  nlohmann::json value;
  std::string where;  // "requests.jsonl, line 12"
};

class JsonLines {
 public:
  // Borrows the stream. `diagnostic` serves a line that is not JSON: its place names the stream.
  JsonLines(std::istream& stream, Diagnostic diagnostic) : stream_(stream), diagnostic_(std::move(diagnostic)) {}

  // Returns the next line that is not blank; nothing at the end. Throws UserError for a line that is not
  // JSON.
  std::optional<JsonLine> next();

 private:
  std::istream& stream_;
  Diagnostic diagnostic_;
  std::int64_t number_ = 0;  // of the last line, from 1
};

}  // namespace anchorage::io
