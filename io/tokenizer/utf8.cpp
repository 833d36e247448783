#include "io/tokenizer/utf8.hpp"

#include <unicode/uchar.h>
#include <unicode/utf8.h>

#include <algorithm>
#include <cstdint>

namespace anchorage::io {
// ICU's macros convert between integer types without saying so.
#pragma GCC diagnostic push
#pragma GCC diagnostic ignored "-Wconversion"

DecodedCharacter first_character(std::string_view text) {
  const auto length = static_cast<std::int32_t>(std::min<std::size_t>(text.size(), U8_MAX_LENGTH));
  std::int32_t next = 0;
  UChar32 character = 0;
  U8_NEXT(text.data(), next, length, character);  // NOLINT(bugprone-inc-dec-in-conditions): in ICU's macro
  const bool valid = character >= 0;
  return {valid ? static_cast<char32_t>(character) : U'\uFFFD', static_cast<std::size_t>(next), valid};
}

DecodedCharacter last_character(std::string_view text) {
  const std::string_view end = text.substr(text.size() - std::min<std::size_t>(text.size(), U8_MAX_LENGTH));
  auto start = static_cast<std::int32_t>(end.size());
  UChar32 character = 0;
  U8_PREV(end.data(), 0, start, character);
  const bool valid = character >= 0;
  return {valid ? static_cast<char32_t>(character) : U'\uFFFD', end.size() - static_cast<std::size_t>(start),
          valid};
}

#pragma GCC diagnostic pop

std::size_t length_of_leading_space(std::string_view text) {
  std::size_t length = 0;
  while (length < text.size()) {
    const DecodedCharacter character = first_character(text.substr(length));
    if (!u_isUWhiteSpace(static_cast<UChar32>(character.value))) break;
    length += character.length;
  }
  return length;
}

std::size_t length_of_trailing_space(std::string_view text) {
  std::size_t length = 0;
  while (length < text.size()) {
    const DecodedCharacter character = last_character(text.substr(0, text.size() - length));
    if (!u_isUWhiteSpace(static_cast<UChar32>(character.value))) break;
    length += character.length;
  }
  return length;
}

std::optional<std::size_t> first_invalid_utf8(std::string_view bytes) {
  for (std::size_t at = 0; at < bytes.size();) {
    const DecodedCharacter character = first_character(bytes.substr(at));
    if (!character.valid) return at;
    at += character.length;
  }
  return std::nullopt;
}

std::string with_replacement_characters(std::string_view bytes) {
  return first_invalid_utf8(bytes) ? to_utf8(code_points(bytes)) : std::string(bytes);
}

std::u32string code_points(std::string_view text) {
  std::u32string characters;
  while (!text.empty()) {
    const DecodedCharacter character = first_character(text);
    characters.push_back(character.value);
    text.remove_prefix(character.length);
  }
  return characters;
}

std::size_t append_utf8(std::string& text, char32_t character) {
  char buffer[U8_MAX_LENGTH];
  std::size_t length = 0;
  U8_APPEND_UNSAFE(buffer, length, static_cast<UChar32>(character));
  text.append(buffer, length);
  return length;
}

std::string to_utf8(std::u32string_view characters) {
  std::string text;
  for (const char32_t character : characters) append_utf8(text, character);
  return text;
}

}  // namespace anchorage::io
