// Regular expressions of tokenizer.json, which `tokenizers` gives to Oniguruma (Ruby's syntax) and we give to ICU.
#pragma once

#include <memory>
#include <span>
#include <string>
#include <string_view>
#include <vector>

#include "io/tokenizer/json_node.hpp"
#include "io/tokenizer/text_range.hpp"

namespace anchorage::io {

// Where `part`, which is not empty, stands in the text, from left to right without overlap.
std::vector<TextRange> occurrences(std::string_view text, std::string_view part);
// The text with `content` in place of each of the ranges, which are in order and apart.
std::string replaced(std::string_view text, std::span<const TextRange> ranges, std::string_view content);

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
