// Regular expressions of tokenizer.json, which `tokenizers` gives to Oniguruma (Ruby's syntax) and we give to ICU.
#pragma once

#include <cstddef>
#include <memory>
#include <string>
#include <string_view>
#include <vector>

#include "io/tokenizer/json_node.hpp"

namespace anchorage::io {

// Bytes [begin, end) of a text.
struct TextRange {
  std::size_t begin = 0;
  std::size_t end = 0;

  std::string_view of(std::string_view text) const { return text.substr(begin, end - begin); }
};

// Immutable and cheap to copy; its functions may be called from many threads at once.
class Pattern {
 public:
  // Of {"Regex": "..."} or {"String": "..."}. UserError when it is not understood.
  static Pattern parse(const JsonNode& node);
  // For patterns of our own, in Oniguruma's syntax too.
  static Pattern compile(std::string_view regex);

  // Matches in order, without overlap. An empty match right after another match is none, as in Oniguruma.
  std::vector<TextRange> find_all(std::string_view utf8) const;

 private:
  struct Compiled;
  explicit Pattern(std::shared_ptr<const Compiled> compiled);

  std::shared_ptr<const Compiled> compiled_;
};

}  // namespace anchorage::io
