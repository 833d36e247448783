#include "io/tokenizer/byte_level.hpp"

#include <array>
#include <cstddef>

#include "io/tokenizer/utf8.hpp"

namespace anchorage::io {
namespace {

constexpr bool stands_for_itself(unsigned byte) {
  return (byte >= '!' && byte <= '~') || (byte >= 0xa1 && byte <= 0xac) || byte >= 0xae;
}

constexpr std::array<char32_t, 256> character_of_byte() {
  std::array<char32_t, 256> characters{};
  char32_t next = 256;
  for (unsigned byte = 0; byte < 256; ++byte) characters[byte] = stands_for_itself(byte) ? byte : next++;
  return characters;
}

constexpr std::array<char32_t, 256> characters_of_bytes = character_of_byte();
constexpr char32_t character_count = 256 + 68;  // 68 bytes do not stand for themselves

constexpr std::array<short, character_count> byte_of_character() {
  std::array<short, character_count> bytes{};
  for (short& byte : bytes) byte = -1;
  for (short byte = 0; byte < 256; ++byte) bytes[characters_of_bytes[static_cast<std::size_t>(byte)]] = byte;
  return bytes;
}

constexpr std::array<short, character_count> bytes_of_characters = byte_of_character();

}  // namespace

std::string to_byte_characters(std::string_view bytes) {
  std::string text;
  text.reserve(bytes.size() + bytes.size() / 4);
  for (const char byte : bytes) {
    const char32_t character = characters_of_bytes[static_cast<unsigned char>(byte)];
    if (character < 0x80) {
      text += static_cast<char>(character);
    } else {  // all are below U+0800: two bytes
      text += static_cast<char>(0xc0 | (character >> 6));
      text += static_cast<char>(0x80 | (character & 0x3f));
    }
  }
  return text;
}

std::optional<std::string> from_byte_characters(std::string_view utf8) {
  std::string bytes;
  for (const char32_t character : code_points(utf8)) {
    if (character >= character_count || bytes_of_characters[character] < 0) return std::nullopt;
    bytes += static_cast<char>(bytes_of_characters[character]);
  }
  return bytes;
}

}  // namespace anchorage::io
