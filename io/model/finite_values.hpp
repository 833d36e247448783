// Values that are not finite: looked for where weights come in, and where anything is written.
#pragma once

#include <cstdint>
#include <optional>
#include <span>
#include <string>

#include "io/model/tensor_view.hpp"

namespace anchorage::io {

struct NotFinite {
  std::int64_t first = 0;  // the first one's place, row-major
  std::int64_t count = 0;
  double value = 0;  // of the first one, as it is stored

  // "nan at [3, 5], the first of 12"
  std::string words(std::span<const std::int64_t> shape) const;
};

// Elements that are NaN or infinite, or would be infinite once rounded to `target`. One pass over the bytes.
std::optional<NotFinite> not_finite(const TensorView& stored, DType target);
std::optional<NotFinite> not_finite(std::span<const float> values);
std::optional<NotFinite> not_finite(std::span<const double> values);

// Throws UserError where one of `values`, of this shape, is not finite: `what` they are, `where`, and what to do.
void require_finite(std::span<const float> values, std::span<const std::int64_t> shape, const std::string& what,
                    const std::string& where, const std::string& remedy);
void require_finite(std::span<const double> values, std::span<const std::int64_t> shape, const std::string& what,
                    const std::string& where, const std::string& remedy);

}  // namespace anchorage::io
