// A text on its way through normalizer and pre-tokenizer that knows which bytes of the given text each of its
// bytes stands for. It follows the rules of NormalizedString in `tokenizers`, so that offsets are the same.
#pragma once

#include <cstdint>
#include <span>
#include <string>
#include <string_view>
#include <vector>

#include "io/tokenizer/text_range.hpp"

namespace anchorage::io {

class AlignedText {
 public:
  // Takes bytes `range` of the given text unchanged; each stands for the whole of its character.
  AlignedText(std::string_view given, TextRange range);

  const std::string& text() const { return text_; }
  bool empty() const { return text_.empty(); }
  bool starts_with(std::string_view prefix) const { return text_.starts_with(prefix); }

  // Returns where the range that this text was made from begins in the given text.
  std::size_t begin() const { return begin_; }
  // Returns the bytes of the given text that bytes `range` stand for; empty where the range is empty.
  TextRange origin(TextRange range) const;

  AlignedText part(TextRange range) const;

  // Removes the bytes before and after `range`.
  void keep(TextRange range);
  // Puts `prefix` before the text; it stands for the first character's origin. An empty text stays empty.
  void prepend(std::string_view prefix);
  // Replaces each of `ranges`, which are ascending and disjoint, by `content`, which stands for what the last
  // replaced byte stood for.
  void replace(std::span<const TextRange> ranges, std::string_view content);

  // One character of a new text: it replaces one character of the old (0), is inserted after it (1), or
  // replaces 1 - `change` of them.
  struct Change {
    char32_t character;
    std::ptrdiff_t change;
  };
  // Replaces the whole text; the changes consume its characters one after the other.
  void rewrite(std::span<const Change> changes);

  // Replaces each byte by one character of `to`, in order.
  void replace_bytes(std::string_view to);

 private:
  struct Origin {
    std::uint32_t begin, end;
  };
  AlignedText(std::string text, std::vector<Origin> origins, std::size_t begin);
  Origin origin_before(std::size_t byte) const;

  std::string text_;
  std::vector<Origin> origins_;  // one per byte
  std::size_t begin_;
};

}  // namespace anchorage::io
