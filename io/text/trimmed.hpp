// Texts without the white space around them.
#pragma once

#include <string>
#include <string_view>

namespace anchorage::io {

inline constexpr std::string_view white_space_around = " \t\r\n\v\f";

inline std::string trimmed(const std::string& text) {
  const std::size_t first = text.find_first_not_of(white_space_around);
  if (first == std::string::npos) return "";
  return text.substr(first, text.find_last_not_of(white_space_around) - first + 1);
}

}  // namespace anchorage::io
