// The element types that a weight may have, named as in the safetensors format.
#pragma once

#include <cstddef>
#include <optional>
#include <string_view>

namespace anchorage::io {

enum class DType { f32, f16, bf16 };

// Returns the bytes of one element.
constexpr std::size_t size_of(DType dtype) {
  return dtype == DType::f32 ? 4 : 2;
}

// "F32", "F16", "BF16".
constexpr std::string_view name_of(DType dtype) {
  switch (dtype) {
    case DType::f32:
      return "F32";
    case DType::f16:
      return "F16";
    case DType::bf16:
      return "BF16";
  }
  return "";
}

// Inverts name_of; returns nothing for any other name.
constexpr std::optional<DType> dtype_named(std::string_view name) {
  for (const DType dtype : {DType::f32, DType::f16, DType::bf16}) {
    if (name == name_of(dtype)) return dtype;
  }
  return std::nullopt;
}

}  // namespace anchorage::io
