// A text on its way through normalizer and pre-tokenizer, which knows of each of its bytes what it stands for in
// the text that was given. The rules are those of NormalizedString in `tokenizers`, so that offsets are the same.
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
  // Bytes `range` of the given text, as they are: each stands for the whole of its character.
  AlignedText(std::string_view given, TextRange range);

  const std::string& text() const { return text_; }
  bool empty() const { return text_.empty(); }
  bool starts_with(std::string_view prefix) const { return text_.starts_with(prefix); }

  // Where the text that this was made of begins in the given one.
  std::size_t begin() const { return begin_; }
  // What bytes `range` stand for: bytes of the given text. Where the range is empty, so is this.
  TextRange origin(TextRange range) const;

  AlignedText part(TextRange range) const;

  // Bytes before and after `range` are taken away.
  void keep(TextRange range);
  // Stands for the first character's origin; nothing is put before an empty text.
  void prepend(std::string_view prefix);
  // Each of `ranges`, which are in order and apart, becomes `content`. It stands for what the last byte replaced
  // stood for.
  void replace(std::span<const TextRange> ranges, std::string_view content);

  // One character of a new text: in place of one of the old (0), new after it (1), or in place of 1 - `change` of
  // them.
  struct Change {
    char32_t character;
    std::ptrdiff_t change;
  };
  // A new text for the whole of the old one, whose characters the changes take up one after the other.
  void rewrite(std::span<const Change> changes);

  // One character of `to` in place of each byte, in their order.
  void replace_bytes(std::string_view to);

 private:
  struct Origin {
    std::uint32_t begin, end;
  };
  AlignedText(std::string text, std::vector<Origin> origins, std::size_t begin);
  Origin origin_before(std::size_t byte) const;

  std::string text_;
  std::vector<Origin> origins_;  // of each byte
  std::size_t begin_;
};

}  // namespace anchorage::io
