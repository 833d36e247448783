#include "worker/kernels/simd/rows.hpp"

#undef HWY_TARGET_INCLUDE
#define HWY_TARGET_INCLUDE "worker/kernels/simd/rotation_rows.cpp"
#include <hwy/foreach_target.h>

#include "worker/kernels/simd/lanes-inl.hpp"

HWY_BEFORE_NAMESPACE();
namespace anchorage::worker::kernels::simd::HWY_NAMESPACE {

// Turns the pair (a, b) by the angle of cosine c and sine s: (a c - b s, b c + a s).
template <class D, class T>
HWY_INLINE void turn(D d, T* a, T* b, const T* cosine, const T* sine, bool back) {
  const auto first = load(d, a), second = load(d, b), c = load(d, cosine);
  const auto s = back ? hn::Neg(load(d, sine)) : load(d, sine);
  store(d, hn::NegMulAdd(second, s, hn::Mul(first, c)), a);
  store(d, hn::MulAdd(first, s, hn::Mul(second, c)), b);
}

template <class T>
void rotate(const RotationRows& rotation, std::int64_t begin, std::int64_t end) {
  using W = Wide<T>;
  const std::int64_t half = rotation.turned / 2;
  for (std::int64_t row = begin; row < end; ++row) {
    const auto* cosine = static_cast<const T*>(rotation.cosine) + row * rotation.turned;
    const auto* sine = static_cast<const T*>(rotation.sine) + row * rotation.turned;
    auto* head = static_cast<T*>(rotation.joined) + row * rotation.of_row * rotation.width;
    for (std::int64_t h = 0; h < rotation.heads; ++h, head += rotation.width) {
      if (rotation.neighbors) {
        for (std::int64_t i = 0; i < rotation.turned; i += 2)
          turn(OneLane<W>(), head + i, head + i + 1, cosine + i, sine + i, rotation.back);
      } else {
        for_lanes<W>(half, [&](auto d, std::int64_t i) {
          turn(d, head + i, head + half + i, cosine + i, sine + i, rotation.back);
        });
      }
    }
  }
}

void any_rotate(const RotationRows& rotation, std::int64_t begin, std::int64_t end) {
  with_element(rotation.element, [&](auto element) { rotate<decltype(element)>(rotation, begin, end); });
}

}  // namespace anchorage::worker::kernels::simd::HWY_NAMESPACE
HWY_AFTER_NAMESPACE();

#if HWY_ONCE
namespace anchorage::worker::kernels::simd {

HWY_EXPORT(any_rotate);

void rotate_rows(const RotationRows& rotation, std::int64_t begin, std::int64_t end) {
  HWY_DYNAMIC_DISPATCH(any_rotate)(rotation, begin, end);
}

}  // namespace anchorage::worker::kernels::simd
#endif
