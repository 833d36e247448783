// GPT-2's printable stand-ins for bytes: each of the 256 bytes is one character, so that a vocabulary of byte
// sequences can be written as JSON strings. Source: `bytes_to_unicode` in openai/gpt-2, src/encoder.py.
#pragma once

#include <optional>
#include <string>
#include <string_view>

namespace anchorage::io {

// "é b" -> "Ã©Ġb".
std::string to_byte_characters(std::string_view bytes);

// Inverts to_byte_characters; returns nothing when a character stands for no byte.
std::optional<std::string> from_byte_characters(std::string_view utf8);

}  // namespace anchorage::io
