// {"type": "Replace", "pattern": {...}, "content": "..."}: a normalizer and a decoder of tokenizer.json.
#pragma once

#include <string>
#include <string_view>

#include "io/tokenizer/aligned_text.hpp"
#include "io/tokenizer/json_node.hpp"
#include "io/tokenizer/pattern.hpp"

namespace anchorage::io {

class Replacement {
 public:
  static Replacement parse(const JsonNode& node);

  // Replaces every match by the content.
  void apply(AlignedText& text) const;
  std::string apply(std::string_view text) const;

 private:
  Replacement(Pattern pattern, std::string content);

  Pattern pattern_;
  std::string content_;
};

}  // namespace anchorage::io
