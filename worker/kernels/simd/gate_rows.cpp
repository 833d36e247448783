#include "worker/kernels/simd/rows.hpp"

#undef HWY_TARGET_INCLUDE
#define HWY_TARGET_INCLUDE "worker/kernels/simd/gate_rows.cpp"
#include <hwy/foreach_target.h>

#include "worker/kernels/simd/lanes-inl.hpp"

HWY_BEFORE_NAMESPACE();
namespace anchorage::worker::kernels::simd::HWY_NAMESPACE {

// An activation and its derivative at x.
template <class V>
struct Activated {
  V value, slope;
};

// x s with s = 1 / (1 + e^-x); slope s (1 + x (1 - s)).
template <class D, class V = hn::Vec<D>>
HWY_INLINE Activated<V> silu(D d, V x) {
  using W = hn::TFromD<D>;
  const auto one = hn::Set(d, W{1});
  const auto most = hn::Set(d, std::is_same_v<W, double> ? W{700} : W{100});
  const auto s = hn::Div(one, hn::Add(one, power(d, hn::Min(hn::Neg(x), most))));
  return {hn::Mul(x, s), hn::Mul(s, hn::MulAdd(x, hn::Sub(one, s), one))};
}

// x (1 + t) / 2 with t = tanh(a (x + b x^3)); slope (1 + t) / 2 + x (1 - t^2) a (1 + 3 b x^2) / 2.
template <class D, class V = hn::Vec<D>>
HWY_INLINE Activated<V> gelu_tanh(D d, V x) {
  using W = hn::TFromD<D>;
  const auto one = hn::Set(d, W{1}), half = hn::Set(d, W{0.5});
  const auto a = hn::Set(d, static_cast<W>(0.79788456080286535588)), b = hn::Set(d, static_cast<W>(0.044715));
  const auto square = hn::Mul(x, x);
  const auto t = hn::Tanh(d, hn::Mul(a, hn::Mul(x, hn::MulAdd(b, square, one))));
  const auto step = hn::Mul(half, hn::Add(one, t));
  const auto inner = hn::Mul(a, hn::MulAdd(hn::Mul(hn::Set(d, W{3}), b), square, one));
  const auto bend = hn::Mul(hn::Mul(half, x), hn::Mul(hn::NegMulAdd(t, t, one), inner));
  return {hn::Mul(x, step), hn::Add(step, bend)};
}

template <class T>
void forward(const GateRows& rows, std::int64_t begin, std::int64_t end) {
  using W = Wide<T>;
  for (std::int64_t row = begin; row < end; ++row) {
    const auto* gate = static_cast<const T*>(rows.up) + row * 2 * rows.width;
    const auto* up = gate + rows.width;
    auto* output = static_cast<T*>(rows.output) + row * rows.width;
    for_lanes<W>(rows.width, [&](auto d, std::int64_t i) {
      const auto x = load(d, gate + i);
      const auto activated = rows.gate == Gate::silu ? silu(d, x).value : gelu_tanh(d, x).value;
      store(d, hn::Mul(rounded_to<T>(d, activated), load(d, up + i)), output + i);
    });
  }
}

template <class T>
void backward(const GateRows& rows, std::int64_t begin, std::int64_t end) {
  using W = Wide<T>;
  for (std::int64_t row = begin; row < end; ++row) {
    const auto* gate = static_cast<const T*>(rows.up) + row * 2 * rows.width;
    const auto* up = gate + rows.width;
    const auto* gradient = static_cast<const T*>(rows.gradient) + row * rows.width;
    auto* of_gate = static_cast<T*>(rows.up_gradient) + row * 2 * rows.width;
    auto* of_up = of_gate + rows.width;
    for_lanes<W>(rows.width, [&](auto d, std::int64_t i) {
      const auto x = load(d, gate + i), g = load(d, gradient + i);
      const auto activated = rows.gate == Gate::silu ? silu(d, x) : gelu_tanh(d, x);
      store(d, hn::Mul(hn::Mul(g, load(d, up + i)), activated.slope), of_gate + i);
      store(d, hn::Mul(g, activated.value), of_up + i);
    });
  }
}

void any_forward(const GateRows& rows, std::int64_t begin, std::int64_t end) {
  with_element(rows.element, [&](auto element) { forward<decltype(element)>(rows, begin, end); });
}

void any_backward(const GateRows& rows, std::int64_t begin, std::int64_t end) {
  with_element(rows.element, [&](auto element) { backward<decltype(element)>(rows, begin, end); });
}

}  // namespace anchorage::worker::kernels::simd::HWY_NAMESPACE
HWY_AFTER_NAMESPACE();

#if HWY_ONCE
namespace anchorage::worker::kernels::simd {

HWY_EXPORT(any_forward);
HWY_EXPORT(any_backward);

void gate_rows(const GateRows& gate, std::int64_t begin, std::int64_t end) {
  HWY_DYNAMIC_DISPATCH(any_forward)(gate, begin, end);
}

void gate_rows_back(const GateRows& gate, std::int64_t begin, std::int64_t end) {
  HWY_DYNAMIC_DISPATCH(any_backward)(gate, begin, end);
}

}  // namespace anchorage::worker::kernels::simd
#endif
