// A matrix of 32-bit floats in the form that files hold: row-major, no padding. Arithmetic is done on tensors
// instead.
#pragma once

#include <cstdint>
#include <vector>

namespace anchorage::io {

struct Matrix {
  std::int64_t rows = 0;
  std::int64_t columns = 0;
  std::vector<float> values;  // [rows, columns]

  bool operator==(const Matrix&) const = default;
};

}  // namespace anchorage::io
