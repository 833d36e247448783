#include "io/model/finite_values.hpp"

#include <fmt/ranges.h>

#include <bit>
#include <cstddef>
#include <cstring>
#include <vector>

#include "io/error.hpp"
#include "io/model/float_conversion.hpp"

namespace anchorage::io {
namespace {

// As integers, magnitudes sort like the numbers, with infinity after them and NaN after infinity. So one
// comparison finds values that are too large or not finite.
template <class Bits>
std::optional<NotFinite> at_or_above(std::span<const std::byte> bytes, Bits limit) {
  constexpr Bits without_sign = static_cast<Bits>(~Bits{0}) >> 1;
  const std::size_t count = bytes.size() / sizeof(Bits);
  const auto is_beyond = [&](std::size_t i) {
    Bits bits;
    std::memcpy(&bits, bytes.data() + i * sizeof(Bits), sizeof bits);  // need not be aligned
    return static_cast<Bits>(bits & without_sign) >= limit;
  };
  std::size_t beyond = 0;
  for (std::size_t i = 0; i < count; ++i) beyond += is_beyond(i) ? 1 : 0;
  if (beyond == 0) return std::nullopt;
  std::size_t first = 0;
  while (!is_beyond(first)) ++first;
  return NotFinite{.first = static_cast<std::int64_t>(first), .count = static_cast<std::int64_t>(beyond)};
}

// Returns the bits of the least f32 magnitude that rounds to infinity.
std::uint32_t f32_limit(DType target) {
  switch (target) {
    case DType::f32:
      return 0x7f800000;
    case DType::f16:
      return 0x477ff000;  // 65520, half-way between 65504 and 65536
    case DType::bf16:
      return 0x7f7f8000;
  }
  throw InternalError("a dtype without a largest number");
}

// Returns the same limit for a bf16, whose bits are the upper half of an f32's; rounding the limit up to a
// bf16 loses no value.
std::uint16_t bf16_limit(DType target) {
  return static_cast<std::uint16_t>((f32_limit(target) + 0xffff) >> 16);
}

std::optional<NotFinite> beyond(const TensorView& stored, DType target) {
  switch (stored.dtype) {
    case DType::f32:
      return at_or_above<std::uint32_t>(stored.bytes, f32_limit(target));
    case DType::f16:
      return at_or_above<std::uint16_t>(stored.bytes, 0x7c00);  // every dtype holds any finite f16
    case DType::bf16:
      return at_or_above<std::uint16_t>(stored.bytes, bf16_limit(target));
  }
  throw InternalError("a dtype without a largest number");
}

template <class T>
void require(std::span<const T> values, std::span<const std::int64_t> shape, const std::string& what,
             const std::string& where, const std::string& remedy) {
  const auto found = not_finite(values);
  if (!found) return;
  throw UserError(
      {.expected = what + " of finite numbers", .found = found->words(shape), .where = where, .remedy = remedy});
}

}  // namespace

std::string NotFinite::words(std::span<const std::int64_t> shape) const {
  std::vector<std::int64_t> place(shape.size());
  std::int64_t rest = first;
  for (std::size_t i = shape.size(); i-- > 0;) {
    place[i] = rest % shape[i];
    rest /= shape[i];
  }
  const std::string one = fmt::format("{} at [{}]", value, fmt::join(place, ", "));
  return count == 1 ? one : fmt::format("{}, the first of {}", one, count);
}

std::optional<NotFinite> not_finite(const TensorView& stored, DType target) {
  auto found = beyond(stored, target);
  if (!found) return found;
  const std::size_t size = size_of(stored.dtype);
  found->value = decode(stored.bytes.subspan(static_cast<std::size_t>(found->first) * size, size), stored.dtype)[0];
  return found;
}

std::optional<NotFinite> not_finite(std::span<const float> values) {
  auto found = at_or_above<std::uint32_t>(std::as_bytes(values), f32_limit(DType::f32));
  if (found) found->value = values[static_cast<std::size_t>(found->first)];
  return found;
}

std::optional<NotFinite> not_finite(std::span<const double> values) {
  auto found = at_or_above<std::uint64_t>(std::as_bytes(values), 0x7ff0000000000000);
  if (found) found->value = values[static_cast<std::size_t>(found->first)];
  return found;
}

void require_finite(std::span<const float> values, std::span<const std::int64_t> shape, const std::string& what,
                    const std::string& where, const std::string& remedy) {
  require(values, shape, what, where, remedy);
}

void require_finite(std::span<const double> values, std::span<const std::int64_t> shape, const std::string& what,
                    const std::string& where, const std::string& remedy) {
  require(values, shape, what, where, remedy);
}

}  // namespace anchorage::io
