#include "io/tokenizer/replacement.hpp"

#include <utility>

namespace anchorage::io {

Replacement::Replacement(Pattern pattern, std::string content)
    : pattern_(std::move(pattern)), content_(std::move(content)) {}

Replacement Replacement::parse(const JsonNode& node) {
  node.allow_only({"pattern", "content"});
  const JsonNode pattern = node.member("pattern");
  std::string content = node.member("content").text();
  // Versions of `tokenizers` differ on whether $1 is a group of the match.
  if (!pattern.member("Regex").is_null() && content.find('$') != std::string::npos) {
    node.not_implemented("'$' in what replaces a regular expression");
  }
  return {Pattern::parse(pattern), std::move(content)};
}

void Replacement::apply(AlignedText& text) const {
  text.replace(pattern_.find_all(text.text()), content_);
}

std::string Replacement::apply(std::string_view text) const {
  return replaced(text, pattern_.find_all(text), content_);
}

}  // namespace anchorage::io
