// Regular expressions of tokenizer.json, which `tokenizers` compiles with Oniguruma (Ruby's syntax) and this
// reader with ICU.
#pragma once

#include <memory>
#include <span>
#include <string>
#include <string_view>
#include <vector>

#include "io/tokenizer/json_node.hpp"
#include "io/tokenizer/text_range.hpp"

namespace anchorage::io {

// Finds `part`, which is not empty, in the text, from left to right without overlap.
std::vector<TextRange> occurrences(std::string_view text, std::string_view part);
// Returns the text with each of the ranges, which are ascending and disjoint, replaced by `content`.
std::string replaced(std::string_view text, std::span<const TextRange> ranges, std::string_view content);

// Immutable and cheap to copy; several threads may call its functions at once.
class Pattern {
 public:
  // Parses {"Regex": "..."} or {"String": "..."}. Throws UserError for a pattern that is not understood.
  static Pattern parse(const JsonNode& node);
  // Compiles a built-in pattern, also in Oniguruma's syntax.
  static Pattern compile(std::string_view regex);

  // Returns the matches in order, without overlap. As in Oniguruma, an empty match right after another match
  // does not count.
  std::vector<TextRange> find_all(std::string_view utf8) const;

 private:
  struct Compiled;
  explicit Pattern(std::shared_ptr<const Compiled> compiled);

  std::shared_ptr<const Compiled> compiled_;
};

}  // namespace anchorage::io
