#pragma once

#include <cstddef>
#include <string_view>

namespace anchorage::io {

// A range [begin, end) of a text, in bytes unless stated otherwise.
struct TextRange {
  std::size_t begin = 0;
  std::size_t end = 0;

  bool operator==(const TextRange&) const = default;
  std::string_view of(std::string_view text) const { return text.substr(begin, end - begin); }
};

}  // namespace anchorage::io
