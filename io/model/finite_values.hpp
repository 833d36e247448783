// Finds values that are not finite, where weights are read and before anything is written.
#pragma once

#include <cstdint>
#include <optional>
#include <span>
#include <string>

#include "io/model/tensor_view.hpp"

namespace anchorage::io {

struct NotFinite {
  std::int64_t first = 0;  // index of the first one, row-major
  std::int64_t count = 0;
  double value = 0;  // the first one, as stored

  // "nan at [3, 5], the first of 12"
  std::string words(std::span<const std::int64_t> shape) const;
};

// Finds elements that are NaN or infinite, or would be infinite once rounded to `target`. Takes one pass over
// the bytes.
std::optional<NotFinite> not_finite(const TensorView& stored, DType target);
std::optional<NotFinite> not_finite(std::span<const float> values);
std::optional<NotFinite> not_finite(std::span<const double> values);

// Throws UserError where one of `values`, of this shape, is not finite; the message names `what` they are,
// `where` they are, and the `remedy`.
void require_finite(std::span<const float> values, std::span<const std::int64_t> shape, const std::string& what,
                    const std::string& where, const std::string& remedy);
void require_finite(std::span<const double> values, std::span<const std::int64_t> shape, const std::string& what,
                    const std::string& where, const std::string& remedy);

}  // namespace anchorage::io
