#include "io/model/float_conversion.hpp"

#include <bit>
#include <cmath>
#include <cstdint>
#include <cstring>

#include "io/error.hpp"

namespace anchorage::io {
namespace {

static_assert(std::endian::native == std::endian::little, "stored tensors are little-endian and read as they are");

constexpr std::uint32_t infinity = 0x7f800000;

std::uint16_t bf16_from(float value) {
  const auto bits = std::bit_cast<std::uint32_t>(value);
  if ((bits & 0x7fffffff) > infinity) return static_cast<std::uint16_t>((bits >> 16) | 0x40);
  return static_cast<std::uint16_t>((bits + 0x7fff + ((bits >> 16) & 1)) >> 16);
}

float from_bf16(std::uint16_t bits) {
  return std::bit_cast<float>(static_cast<std::uint32_t>(bits) << 16);
}

std::uint16_t f16_from(float value) {
  constexpr std::uint32_t first_infinite = 0x477ff000;  // 65520, half-way between 65504 and 65536
  constexpr std::uint32_t first_normal = 0x38800000;    // 2^-14
  const auto bits = std::bit_cast<std::uint32_t>(value);
  const std::uint32_t sign = (bits >> 16) & 0x8000;
  const std::uint32_t magnitude = bits & 0x7fffffff;
  std::uint32_t half = 0;
  if (magnitude > infinity) {
    half = 0x7e00;
  } else if (magnitude >= first_infinite) {
    half = 0x7c00;
  } else if (magnitude >= first_normal) {
    half = (magnitude - 0x38000000 + 0xfff + ((magnitude >> 13) & 1)) >> 13;
  } else {  // subnormal: a multiple of 2^-24
    half = static_cast<std::uint32_t>(std::nearbyint(std::fabs(value) * 0x1p24F));
  }
  return static_cast<std::uint16_t>(sign | half);
}

float from_f16(std::uint16_t bits) {
  const std::uint32_t sign = static_cast<std::uint32_t>(bits & 0x8000) << 16;
  const std::uint32_t exponent = (bits >> 10) & 0x1f;
  const std::uint32_t fraction = bits & 0x3ff;
  if (exponent == 0) {
    const float magnitude = static_cast<float>(fraction) * 0x1p-24F;
    return sign == 0 ? magnitude : -magnitude;
  }
  const std::uint32_t biased = exponent == 31 ? 255 : exponent + 112;
  return std::bit_cast<float>(sign | (biased << 23) | (fraction << 13));
}

template <typename Stored, typename Convert>
std::vector<std::byte> encode_each(std::span<const float> values, Convert convert) {
  std::vector<std::byte> bytes(values.size() * sizeof(Stored));
  for (std::size_t i = 0; i < values.size(); ++i) {
    const Stored stored = convert(values[i]);
    std::memcpy(bytes.data() + i * sizeof stored, &stored, sizeof stored);
  }
  return bytes;
}

template <typename Stored, typename Convert>
std::vector<float> decode_each(std::span<const std::byte> bytes, Convert convert) {
  std::vector<float> values(bytes.size() / sizeof(Stored));
  for (std::size_t i = 0; i < values.size(); ++i) {
    Stored stored;
    std::memcpy(&stored, bytes.data() + i * sizeof stored, sizeof stored);
    values[i] = convert(stored);
  }
  return values;
}

}  // namespace

std::vector<std::byte> encode(std::span<const float> values, DType dtype) {
  switch (dtype) {
    case DType::f32:
      return encode_each<float>(values, [](float value) { return value; });
    case DType::f16:
      return encode_each<std::uint16_t>(values, f16_from);
    case DType::bf16:
      return encode_each<std::uint16_t>(values, bf16_from);
  }
  throw InternalError("encode: unknown dtype");
}

std::vector<float> decode(std::span<const std::byte> bytes, DType dtype) {
  check(bytes.size() % size_of(dtype) == 0,
        fmt::format("{} bytes are no whole number of {} elements", bytes.size(), name_of(dtype)));
  switch (dtype) {
    case DType::f32:
      return decode_each<float>(bytes, [](float value) { return value; });
    case DType::f16:
      return decode_each<std::uint16_t>(bytes, from_f16);
    case DType::bf16:
      return decode_each<std::uint16_t>(bytes, from_bf16);
  }
  throw InternalError("decode: unknown dtype");
}

}  // namespace anchorage::io
