#include "worker/kernels/simd/rows.hpp"

#undef HWY_TARGET_INCLUDE
#define HWY_TARGET_INCLUDE "worker/kernels/simd/loss_rows.cpp"
#include <hwy/foreach_target.h>

#include <algorithm>
#include <cmath>
#include <limits>

#include "worker/kernels/simd/lanes-inl.hpp"

HWY_BEFORE_NAMESPACE();
namespace anchorage::worker::kernels::simd::HWY_NAMESPACE {

template <class T, class W = Wide<T>>
W highest_of(const T* logits, std::int64_t width) {
  const hn::ScalableTag<W> d;
  const auto lanes = static_cast<std::int64_t>(hn::Lanes(d));
  W highest = -std::numeric_limits<W>::infinity();
  std::int64_t i = 0;
  if (width >= lanes) {
    auto most = hn::Set(d, highest);
    for (; i + lanes <= width; i += lanes) most = hn::Max(most, load(d, logits + i));
    highest = hn::GetLane(hn::MaxOfLanes(d, most));
  }
  for (; i < width; ++i) highest = std::max(highest, hn::GetLane(load(OneLane<W>(), logits + i)));
  return highest;
}

// Whether the target is the first of the most probable tokens.
template <class T, class W = Wide<T>>
bool is_first_of(const T* logits, std::int64_t target, W highest) {
  const auto is_highest = [&](std::int64_t i) { return hn::GetLane(load(OneLane<W>(), logits + i)) >= highest; };
  if (!is_highest(target)) return false;
  for (std::int64_t i = 0; i < target; ++i) {
    if (is_highest(i)) return false;
  }
  return true;
}

template <class T>
void forward(const LossRows& loss, std::int64_t begin, std::int64_t end) {
  using W = Wide<T>;
  for (std::int64_t row = begin; row < end; ++row) {
    const auto* logits = static_cast<const T*>(loss.logits) + row * loss.width;
    const W highest = highest_of(logits, loss.width);
    const W sum = sum_of_lanes<W>(loss.width, [&](auto d, std::int64_t i) {
      return power(d, hn::Sub(load(d, logits + i), hn::Set(d, highest)));
    });
    const W total = highest + std::log(sum);
    static_cast<W*>(loss.totals)[row] = total;
    auto* result = static_cast<W*>(loss.losses) + row;
    if (row < loss.predicted) {
      const std::int64_t target = loss.targets[row];
      *result = total - hn::GetLane(load(OneLane<W>(), logits + target));
      loss.missed[row] = !is_first_of(logits, target, highest);
      continue;
    }
    const auto* before = static_cast<const W*>(loss.before) + (row - loss.predicted) * loss.width;
    *result = sum_of_lanes<W>(loss.width, [&](auto d, std::int64_t i) {
      const auto b = hn::LoadU(d, before + i);
      return hn::Mul(power(d, b), hn::Add(hn::Sub(b, load(d, logits + i)), hn::Set(d, total)));
    });
  }
}

template <class T>
void backward(const LossRows& loss, std::int64_t begin, std::int64_t end) {
  using W = Wide<T>;
  for (std::int64_t row = begin; row < end; ++row) {
    const auto* logits = static_cast<const T*>(loss.logits) + row * loss.width;
    auto* result = static_cast<T*>(loss.logits_gradient) + row * loss.width;
    const W total = static_cast<const W*>(loss.totals)[row], gradient = static_cast<const W*>(loss.gradient)[row];
    const auto probability = [&](auto d, std::int64_t i) {
      return power(d, hn::Sub(load(d, logits + i), hn::Set(d, total)));
    };
    if (row < loss.predicted) {
      for_lanes<W>(loss.width, [&](auto d, std::int64_t i) {
        store(d, hn::Mul(hn::Set(d, gradient), probability(d, i)), result + i);
      });
      const OneLane<W> d;
      const std::int64_t target = loss.targets[row];
      store(d, hn::Mul(hn::Set(d, gradient), hn::Sub(probability(d, target), hn::Set(d, W{1}))), result + target);
      continue;
    }
    const auto* before = static_cast<const W*>(loss.before) + (row - loss.predicted) * loss.width;
    for_lanes<W>(loss.width, [&](auto d, std::int64_t i) {
      const auto apart = hn::Sub(probability(d, i), power(d, hn::LoadU(d, before + i)));
      store(d, hn::Mul(hn::Set(d, gradient), apart), result + i);
    });
  }
}

void any_forward(const LossRows& loss, std::int64_t begin, std::int64_t end) {
  with_element(loss.element, [&](auto element) { forward<decltype(element)>(loss, begin, end); });
}

void any_backward(const LossRows& loss, std::int64_t begin, std::int64_t end) {
  with_element(loss.element, [&](auto element) { backward<decltype(element)>(loss, begin, end); });
}

}  // namespace anchorage::worker::kernels::simd::HWY_NAMESPACE
HWY_AFTER_NAMESPACE();

#if HWY_ONCE
namespace anchorage::worker::kernels::simd {

HWY_EXPORT(any_forward);
HWY_EXPORT(any_backward);

void loss_rows(const LossRows& loss, std::int64_t begin, std::int64_t end) {
  HWY_DYNAMIC_DISPATCH(any_forward)(loss, begin, end);
}

void loss_rows_back(const LossRows& loss, std::int64_t begin, std::int64_t end) {
  HWY_DYNAMIC_DISPATCH(any_backward)(loss, begin, end);
}

}  // namespace anchorage::worker::kernels::simd
#endif
