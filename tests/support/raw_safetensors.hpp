// Safetensors files made byte by byte, so that they can be wrong in any way.
#pragma once

#include <cstdint>
#include <cstring>
#include <string>
#include <string_view>

namespace anchorage::tests {

// A header that says it has `length` bytes.
inline std::string raw_safetensors(std::uint64_t length, std::string_view header, std::string_view data) {
  std::string file(sizeof length, '\0');
  std::memcpy(file.data(), &length, sizeof length);
  return file.append(header).append(data);
}

// A header as long as it is.
inline std::string raw_safetensors(std::string_view header, std::string_view data) {
  return raw_safetensors(header.size(), header, data);
}

}  // namespace anchorage::tests
