#include "io/model/finite_values.hpp"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <array>
#include <cmath>
#include <limits>
#include <vector>

#include "io/error.hpp"
#include "io/model/float_conversion.hpp"
#include "tests/support/message_of.hpp"

namespace anchorage::io {
namespace {

constexpr float nan = std::numeric_limits<float>::quiet_NaN();
constexpr float infinity = std::numeric_limits<float>::infinity();
constexpr std::array dtypes = {DType::f32, DType::f16, DType::bf16};

std::optional<NotFinite> look(const std::vector<float>& values, DType stored, DType target) {
  const auto bytes = encode(values, stored);
  return not_finite(TensorView{stored, {std::ssize(values)}, bytes}, target);
}

TEST(FiniteValues, NotANumberAndInfinityAreFoundInEveryDtype) {
  for (const DType dtype : dtypes) {
    for (const float bad : {nan, -nan, infinity, -infinity}) {
      const auto found = look({1, -2, bad, 0, infinity}, dtype, dtype);
      ASSERT_TRUE(found) << name_of(dtype) << " " << bad;
      EXPECT_EQ(found->first, 2);
      EXPECT_EQ(found->count, 2);
      EXPECT_EQ(std::isnan(found->value), std::isnan(bad));
    }
    EXPECT_FALSE(look({0, -0.0F, 1e-7F, 65504, -65504}, dtype, DType::f32)) << name_of(dtype);
    EXPECT_FALSE(look({}, dtype, dtype));
  }
}

// The rule is that of rounding itself.
TEST(FiniteValues, OverflowIsToldForExactlyTheValuesThatRoundToInfinity) {
  const float largest = std::numeric_limits<float>::max();
  for (const float value :
       {65504.0F, 65519.99F, 65520.0F, 65280.0F, 65536.0F, 1e5F, 3.3895e38F, 3.396e38F, largest}) {
    for (const DType stored : {DType::f32, DType::bf16}) {
      for (const DType target : dtypes) {
        const float held = decode(encode(std::vector{value}, stored), stored)[0];
        const float rounded = decode(encode(std::vector{held}, target), target)[0];
        EXPECT_EQ(look({-value}, stored, target).has_value(), !std::isfinite(rounded))
            << value << " stored as " << name_of(stored) << ", loaded as " << name_of(target);
      }
    }
  }
}

TEST(FiniteValues, BytesNeedNotBeAligned) {
  std::vector<std::byte> bytes(9);
  const auto one = encode(std::vector{nan, 1.0F}, DType::f32);
  std::ranges::copy(one, bytes.begin() + 1);
  EXPECT_TRUE(not_finite(TensorView{DType::f32, {2}, std::span(bytes).subspan(1)}, DType::f32));
}

TEST(FiniteValues, MessageTellsThePlaceAndTheNumber) {
  const std::array<std::int64_t, 2> shape = {2, 3};
  const std::vector<double> values = {0, 1, 2, 3, std::nan(""), HUGE_VAL};
  const std::string message =
      tests::message_of([&] { require_finite(values, shape, "a moment", "s.h5", "collect it again"); });
  EXPECT_EQ(message,
            "expected a moment of finite numbers, found nan at [1, 1], the first of 2, in s.h5; "
            "collect it again");
  EXPECT_NO_THROW(require_finite(std::span(values).first(4), shape, "a moment", "s.h5", ""));
}

}  // namespace
}  // namespace anchorage::io
