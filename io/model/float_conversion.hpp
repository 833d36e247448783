// Converts fp32 values to and from the bytes of a stored dtype.
#pragma once

#include <cstddef>
#include <span>
#include <vector>

#include "io/model/dtype.hpp"

namespace anchorage::io {

// Rounds to nearest, ties to even, as IEEE 754 and PyTorch do: a value too large for F16 becomes infinite, a
// small one subnormal or zero, and NaN stays NaN.
std::vector<std::byte> encode(std::span<const float> values, DType dtype);

// Decodes exactly. The number of bytes is a multiple of the element's size.
std::vector<float> decode(std::span<const std::byte> bytes, DType dtype);

}  // namespace anchorage::io
