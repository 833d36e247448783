#include "io/tokenizer/split.hpp"

#include <fmt/format.h>

#include <utility>

namespace anchorage::io {

SplitBehavior parse_behavior(const JsonNode& node) {
  const std::string name = node.text();
  if (name == "Removed") return SplitBehavior::removed;
  if (name == "Isolated") return SplitBehavior::isolated;
  if (name == "MergedWithPrevious") return SplitBehavior::merged_with_previous;
  if (name == "MergedWithNext") return SplitBehavior::merged_with_next;
  if (name == "Contiguous") return SplitBehavior::contiguous;
  node.not_implemented(fmt::format("the behavior \"{}\"", name));
}

Split::Split(Pattern pattern, SplitBehavior behavior, Matches matches)
    : pattern_(std::move(pattern)), behavior_(behavior), matches_(matches) {}

std::vector<Split::Part> Split::parts_of(std::string_view text) const {
  const bool match_is_delimiter = matches_ == Matches::are_delimiters;
  std::vector<Part> parts;
  std::size_t end = 0;
  for (const TextRange match : pattern_.find_all(text)) {
    if (match.begin != end) parts.push_back({{end, match.begin}, !match_is_delimiter});
    parts.push_back({match, match_is_delimiter});
    end = match.end;
  }
  if (end != text.size()) parts.push_back({{end, text.size()}, !match_is_delimiter});
  return parts;
}

std::vector<TextRange> Split::apply(std::string_view text) const {
  const std::vector<Part> parts = parts_of(text);
  std::vector<TextRange> words;
  words.reserve(parts.size());
  const auto is_delimiter = [&](std::size_t i) { return i < parts.size() && parts[i].is_delimiter; };
  for (std::size_t i = 0; i < parts.size(); ++i) {
    TextRange word = parts[i].range;
    if (behavior_ == SplitBehavior::removed && is_delimiter(i)) continue;
    if (behavior_ == SplitBehavior::contiguous) {
      while (i + 1 < parts.size() && is_delimiter(i + 1) == is_delimiter(i)) word.end = parts[++i].range.end;
    }
    if (behavior_ == SplitBehavior::merged_with_previous && !is_delimiter(i) && is_delimiter(i + 1)) {
      word.end = parts[++i].range.end;
    }
    // In a run of delimiters the last one joins the word.
    if (behavior_ == SplitBehavior::merged_with_next && is_delimiter(i) && i + 1 < parts.size() &&
        !is_delimiter(i + 1)) {
      word.end = parts[++i].range.end;
    }
    if (word.begin != word.end) words.push_back(word);
  }
  return words;
}

}  // namespace anchorage::io
