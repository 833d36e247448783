#include "io/tokenizer/decoder.hpp"

#include <fmt/format.h>

#include <charconv>
#include <cstdint>
#include <iterator>
#include <optional>
#include <utility>

#include "io/tokenizer/byte_level.hpp"
#include "io/tokenizer/metaspace.hpp"
#include "io/tokenizer/replacement.hpp"
#include "io/tokenizer/utf8.hpp"

namespace anchorage::io {
namespace {

using Tokens = std::vector<std::string>;

std::string join(const Tokens& tokens, std::string_view separator) {
  return fmt::format("{}", fmt::join(tokens, separator));
}

// Keeps a token with a character that stands for no byte, such as an added token, unchanged.
Tokens decode_bytes(const Tokens& tokens) {
  std::string bytes;
  for (const std::string& token : tokens) bytes += from_byte_characters(token).value_or(token);
  return {with_replacement_characters(bytes)};
}

// "<0x0A>" is the byte 10.
std::optional<char> byte_of(std::string_view token) {
  if (token.size() != 6 || !token.starts_with("<0x") || !token.ends_with('>')) return std::nullopt;
  std::uint8_t byte = 0;
  const auto [end, error] = std::from_chars(token.data() + 3, token.data() + 5, byte, 16);
  if (error != std::errc() || end != token.data() + 5) return std::nullopt;
  return static_cast<char>(byte);
}

// A run of bytes that is not UTF-8 becomes one U+FFFD for each byte.
Tokens decode_fallback_bytes(const Tokens& tokens) {
  Tokens result;
  std::string bytes;
  const auto end_run = [&] {
    if (bytes.empty()) return;
    if (first_invalid_utf8(bytes)) {
      result.insert(result.end(), bytes.size(), "\uFFFD");
    } else {
      result.push_back(bytes);
    }
    bytes.clear();
  };
  for (const std::string& token : tokens) {
    if (const auto byte = byte_of(token)) {
      bytes += *byte;
    } else {
      end_run();
      result.push_back(token);
    }
  }
  end_run();
  return result;
}

// Removes up to `start` of the character from the front of each token and up to `stop` from its back.
struct Strip {
  std::string character;
  std::int32_t start;
  std::int32_t stop;

  static Strip parse(const JsonNode& node) {
    node.allow_only({"content", "start", "stop"});
    return {to_utf8(std::u32string(1, node.member("content").character())), node.member("start").count(),
            node.member("stop").count()};
  }

  Tokens operator()(Tokens tokens) const {
    for (std::string& token : tokens) {
      std::string_view rest = token;
      for (std::int32_t i = 0; i < start && rest.starts_with(character); ++i) rest.remove_prefix(character.size());
      for (std::int32_t i = 0; i < stop && rest.ends_with(character); ++i) rest.remove_suffix(character.size());
      token = std::string(rest);
    }
    return tokens;
  }
};

}  // namespace

Decoder Decoder::parse(const JsonNode& node) {
  Decoder decoder;
  if (node.is_null()) return decoder;
  decoder.separator_ = "";
  decoder.add(node);
  return decoder;
}

void Decoder::add(const JsonNode& node) {
  const std::string type = node.type();
  if (type == "Sequence") {
    node.allow_only({"decoders"});
    for (const JsonNode& element : node.member("decoders").elements()) add(element);
  } else if (type == "ByteLevel") {
    node.allow_only({"add_prefix_space", "trim_offsets", "use_regex"});
    steps_.push_back(decode_bytes);
  } else if (type == "ByteFallback") {
    node.allow_only({});
    steps_.push_back(decode_fallback_bytes);
  } else if (type == "Fuse") {
    node.allow_only({});
    steps_.push_back([](const Tokens& tokens) { return Tokens{join(tokens, "")}; });
  } else if (type == "Metaspace") {
    steps_.push_back([metaspace = Metaspace::parse(node)](Tokens tokens) {
      return metaspace.restore_spaces(std::move(tokens));
    });
  } else if (type == "Replace") {
    steps_.push_back([replacement = Replacement::parse(node)](Tokens tokens) {
      for (std::string& token : tokens) token = replacement.apply(token);
      return tokens;
    });
  } else if (type == "Strip") {
    steps_.push_back(Strip::parse(node));
  } else {
    node.not_implemented(fmt::format("the decoder \"{}\"", type));
  }
}

std::string Decoder::decode(std::vector<std::string> tokens) const {
  for (const Step& step : steps_) tokens = step(std::move(tokens));
  return join(tokens, separator_);
}

}  // namespace anchorage::io
