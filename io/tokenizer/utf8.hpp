// UTF-8 as in `tokenizers`: texts must be valid, and what a model generates is made valid.
#pragma once

#include <cstddef>
#include <optional>
#include <string>
#include <string_view>

namespace anchorage::io {

struct DecodedCharacter {
  char32_t value;      // U+FFFD where the bytes are not valid
  std::size_t length;  // in bytes; where they are not valid, of the maximal ill-formed part
  bool valid;
};

// Decode one end of a text that is not empty.
DecodedCharacter first_character(std::string_view text);
DecodedCharacter last_character(std::string_view text);

// Return the bytes of white space (Unicode's White_Space) that a text begins or ends with.
std::size_t length_of_leading_space(std::string_view text);
std::size_t length_of_trailing_space(std::string_view text);

// Returns the offset of the first byte that is not part of a valid sequence.
std::optional<std::size_t> first_invalid_utf8(std::string_view bytes);

// Replaces each maximal ill-formed part by U+FFFD, as Unicode (3.9, best practice) and Rust's from_utf8_lossy
// do.
std::string with_replacement_characters(std::string_view bytes);

// Returns the code points, with U+FFFD where `text` is not valid.
std::u32string code_points(std::string_view text);
std::string to_utf8(std::u32string_view characters);
// Appends the character and returns its number of bytes.
std::size_t append_utf8(std::string& text, char32_t character);

// Returns the bytes of the character that starts with `lead`, in valid UTF-8.
constexpr std::size_t character_length(char lead) {
  const auto byte = static_cast<unsigned char>(lead);
  return byte < 0x80 ? 1 : byte < 0xe0 ? 2 : byte < 0xf0 ? 3 : 4;
}

}  // namespace anchorage::io
