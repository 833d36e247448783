// Lanes of wide values out of memory of any element, and loops over them. Included once for each instruction set
// (Highway's foreach_target), so it has a toggle in place of a guard.
#if defined(ANCHORAGE_LANES_INL) == defined(HWY_TARGET_TOGGLE)
#ifdef ANCHORAGE_LANES_INL
#undef ANCHORAGE_LANES_INL
#else
#define ANCHORAGE_LANES_INL
#endif

#include <hwy/contrib/math/math-inl.h>
#include <hwy/highway.h>

#include <cstdint>
#include <type_traits>

HWY_BEFORE_NAMESPACE();
namespace anchorage::worker::kernels::simd::HWY_NAMESPACE {

namespace hn = hwy::HWY_NAMESPACE;

template <class T>
using Wide = std::conditional_t<std::is_same_v<T, double>, double, float>;

template <class W>
using OneLane = hn::CappedTag<W, 1>;

template <class D, class T>
HWY_INLINE hn::Vec<D> load(D d, const T* from) {
  if constexpr (std::is_same_v<T, hwy::bfloat16_t>) {
    const hn::Rebind<std::uint16_t, D> narrow;
    const hn::RebindToUnsigned<D> bits;
    const auto loaded = hn::LoadU(narrow, reinterpret_cast<const std::uint16_t*>(from));
    return hn::BitCast(d, hn::ShiftLeft<16>(hn::PromoteTo(bits, loaded)));
  } else if constexpr (std::is_same_v<T, hwy::float16_t>) {
    return hn::PromoteTo(d, hn::LoadU(hn::Rebind<hwy::float16_t, D>(), from));
  } else {
    return hn::LoadU(d, from);
  }
}

// The upper 16 bits of the nearest bf16, ties to even, as u32; a quiet NaN of any NaN.
template <class D>
HWY_INLINE hn::Vec<hn::RebindToUnsigned<D>> bf16_bits(D, hn::Vec<D> wide) {
  const hn::RebindToUnsigned<D> u;
  const auto bits = hn::BitCast(u, wide);
  const auto odd = hn::And(hn::ShiftRight<16>(bits), hn::Set(u, 1U));
  const auto rounded = hn::ShiftRight<16>(hn::Add(bits, hn::Add(odd, hn::Set(u, 0x7FFFU))));
  return hn::IfThenElse(hn::RebindMask(u, hn::IsNaN(wide)), hn::Set(u, 0x7FC0U), rounded);
}

template <class D, class T>
HWY_INLINE void store(D d, hn::Vec<D> wide, T* to) {
  if constexpr (std::is_same_v<T, hwy::bfloat16_t>) {
    const hn::Rebind<std::uint16_t, D> narrow;
    const hn::RebindToSigned<D> positive;
    hn::StoreU(hn::DemoteTo(narrow, hn::BitCast(positive, bf16_bits(d, wide))), narrow,
               reinterpret_cast<std::uint16_t*>(to));
  } else if constexpr (std::is_same_v<T, hwy::float16_t>) {
    const hn::Rebind<hwy::float16_t, D> narrow;
    hn::StoreU(hn::DemoteTo(narrow, wide), narrow, to);
  } else {
    hn::StoreU(wide, d, to);
  }
}

// Rounds to what memory of T would hold.
template <class T, class D>
HWY_INLINE hn::Vec<D> rounded_to(D d, hn::Vec<D> wide) {
  if constexpr (std::is_same_v<T, hwy::bfloat16_t>) {
    return hn::BitCast(d, hn::ShiftLeft<16>(bf16_bits(d, wide)));
  } else if constexpr (std::is_same_v<T, hwy::float16_t>) {
    return hn::PromoteTo(d, hn::DemoteTo(hn::Rebind<hwy::float16_t, D>(), wide));
  } else {
    return wide;
  }
}

// e^x for x up to 100, of f64 700; of NaN NaN, of which Highway's returns 0.
template <class D, class V = hn::Vec<D>>
HWY_INLINE V power(D d, V x) {
  return hn::IfThenElse(hn::IsNaN(x), x, hn::Exp(d, x));
}

// Calls step(d, i) for every vector of `count` values, and lane by lane for what is left.
template <class W, class Step>
HWY_INLINE void for_lanes(std::int64_t count, const Step& step) {
  const hn::ScalableTag<W> d;
  const auto lanes = static_cast<std::int64_t>(hn::Lanes(d));
  std::int64_t i = 0;
  for (; i + lanes <= count; i += lanes) step(d, i);
  for (; i < count; ++i) step(OneLane<W>(), i);
}

// Adds what term(d, i) returns for them.
template <class W, class Term>
HWY_INLINE W sum_of_lanes(std::int64_t count, const Term& term) {
  const hn::ScalableTag<W> d;
  const auto lanes = static_cast<std::int64_t>(hn::Lanes(d));
  auto sums = hn::Zero(d);
  std::int64_t i = 0;
  for (; i + lanes <= count; i += lanes) sums = hn::Add(sums, term(d, i));
  W sum = hn::GetLane(hn::SumOfLanes(d, sums));
  for (; i < count; ++i) sum += hn::GetLane(term(OneLane<W>(), i));
  return sum;
}

// Calls kernel(T()) with the element's type.
template <class Kernel>
HWY_INLINE void with_element(Element element, const Kernel& kernel) {
  if (element == Element::bf16) kernel(hwy::bfloat16_t());
  if (element == Element::f16) kernel(hwy::float16_t());
  if (element == Element::f32) kernel(float());
  if (element == Element::f64) kernel(double());
}

}  // namespace anchorage::worker::kernels::simd::HWY_NAMESPACE
HWY_AFTER_NAMESPACE();

#endif
