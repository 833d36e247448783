// A tensor in memory that another object owns.
#pragma once

#include <cstddef>
#include <cstdint>
#include <span>
#include <vector>

#include "io/model/dtype.hpp"

namespace anchorage::io {

// Row-major, little-endian, contiguous. An empty shape is a scalar; a dimension may be 0. `bytes` is borrowed
// and need not be aligned to the element's size: copy the elements, do not cast the pointer.
struct TensorView {
  DType dtype = DType::f32;
  std::vector<std::int64_t> shape;
  std::span<const std::byte> bytes;
};

}  // namespace anchorage::io
