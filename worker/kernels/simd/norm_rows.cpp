#include "worker/kernels/simd/rows.hpp"

#undef HWY_TARGET_INCLUDE
#define HWY_TARGET_INCLUDE "worker/kernels/simd/norm_rows.cpp"
#include <hwy/foreach_target.h>

#include <cmath>

#include "worker/kernels/simd/lanes-inl.hpp"

HWY_BEFORE_NAMESPACE();
namespace anchorage::worker::kernels::simd::HWY_NAMESPACE {

template <class T>
void forward(const NormRows& norm, std::int64_t begin, std::int64_t end) {
  using W = Wide<T>;
  const auto* weight = static_cast<const T*>(norm.weight);
  for (std::int64_t row = begin; row < end; ++row) {
    const auto* input = static_cast<const T*>(norm.input) + row * norm.width;
    auto* output = static_cast<T*>(norm.output) + row * norm.width;
    const W squares = sum_of_lanes<W>(norm.width, [&](auto d, std::int64_t i) {
      const auto x = load(d, input + i);
      return hn::Mul(x, x);
    });
    const W inverse = 1 / std::sqrt(squares / static_cast<W>(norm.width) + static_cast<W>(norm.epsilon));
    static_cast<W*>(norm.inverse)[row] = inverse;
    for_lanes<W>(norm.width, [&](auto d, std::int64_t i) {
      const auto scaled = hn::Mul(load(d, input + i), hn::Set(d, inverse));
      const auto gain = load(d, weight + i);
      store(d,
            norm.plus_one ? hn::Mul(scaled, hn::Add(gain, hn::Set(d, W{1})))
                          : hn::Mul(rounded_to<T>(d, scaled), gain),
            output + i);
    });
  }
}

// With y_i = w_i x_i r and r = (mean x^2 + epsilon)^(-1/2): dx_i = r w_i g_i - x_i r^3 / width sum_j w_j g_j x_j.
template <class T>
void backward(const NormRows& norm, std::int64_t begin, std::int64_t end) {
  using W = Wide<T>;
  const auto* weight = static_cast<const T*>(norm.weight);
  const W offset = norm.plus_one ? 1 : 0;
  for (std::int64_t row = begin; row < end; ++row) {
    const std::int64_t at = row * norm.width;
    const auto* input = static_cast<const T*>(norm.input) + at;
    const auto* gradient = static_cast<const T*>(norm.gradient) + at;
    const auto* residual = norm.residual ? static_cast<const T*>(norm.residual) + at : nullptr;
    auto* result = static_cast<T*>(norm.input_gradient) + at;
    const auto gained = [&](auto d, std::int64_t i) {
      return hn::Mul(hn::Add(load(d, weight + i), hn::Set(d, offset)), load(d, gradient + i));
    };
    const W inverse = static_cast<const W*>(norm.inverse)[row];
    const W along = sum_of_lanes<W>(
        norm.width, [&](auto d, std::int64_t i) { return hn::Mul(gained(d, i), load(d, input + i)); });
    const W pull = along * inverse * inverse * inverse / static_cast<W>(norm.width);
    for_lanes<W>(norm.width, [&](auto d, std::int64_t i) {
      auto sum = hn::NegMulAdd(load(d, input + i), hn::Set(d, pull), hn::Mul(gained(d, i), hn::Set(d, inverse)));
      if (residual) sum = hn::Add(sum, load(d, residual + i));
      store(d, sum, result + i);
    });
  }
}

void any_forward(const NormRows& norm, std::int64_t begin, std::int64_t end) {
  with_element(norm.element, [&](auto element) { forward<decltype(element)>(norm, begin, end); });
}

void any_backward(const NormRows& norm, std::int64_t begin, std::int64_t end) {
  with_element(norm.element, [&](auto element) { backward<decltype(element)>(norm, begin, end); });
}

}  // namespace anchorage::worker::kernels::simd::HWY_NAMESPACE
HWY_AFTER_NAMESPACE();

#if HWY_ONCE
namespace anchorage::worker::kernels::simd {

HWY_EXPORT(any_forward);
HWY_EXPORT(any_backward);

void norm_rows(const NormRows& norm, std::int64_t begin, std::int64_t end) {
  HWY_DYNAMIC_DISPATCH(any_forward)(norm, begin, end);
}

void norm_rows_back(const NormRows& norm, std::int64_t begin, std::int64_t end) {
  HWY_DYNAMIC_DISPATCH(any_backward)(norm, begin, end);
}

}  // namespace anchorage::worker::kernels::simd
#endif
