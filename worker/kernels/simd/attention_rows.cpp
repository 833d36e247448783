#include "worker/kernels/simd/rows.hpp"

#undef HWY_TARGET_INCLUDE
#define HWY_TARGET_INCLUDE "worker/kernels/simd/attention_rows.cpp"
#include <hwy/foreach_target.h>

#include <algorithm>
#include <limits>
#include <vector>

#include "worker/kernels/simd/lanes-inl.hpp"

HWY_BEFORE_NAMESPACE();
namespace anchorage::worker::kernels::simd::HWY_NAMESPACE {

// Columns are padded to this, so that loops over them have no rest with any instruction set.
constexpr std::int64_t lanes_at_most = 16;

// One text and one group of heads: what its columns hold, as wide values.
template <class T>
class Columns {
 public:
  using W = Wide<T>;

  explicit Columns(const AttentionRows& attention)
      : attention_(attention),
        stride_((attention.columns + lanes_at_most - 1) / lanes_at_most * lanes_at_most),
        rows_(static_cast<std::size_t>(stride_ * attention.width)),
        across_(rows_.size()) {}

  std::int64_t stride() const { return stride_; }

  // Loads keys or values: those in the cache, then those of `joined` from its head `head` on.
  void load_text(std::int64_t text, std::int64_t group, const void* cached, std::int64_t head) {
    const std::int64_t e = attention_.width, first = attention_.first_position[text],
                       begin = attention_.row_begin[text], end = attention_.row_begin[text + 1];
    const std::int64_t count = first + end - begin;
    for (std::int64_t c = 0; c < first; ++c) {
      load_column(
          c, static_cast<const T*>(cached) + text * attention_.cache_stride + (c * attention_.groups + group) * e);
    }
    const std::int64_t of_token = attention_.heads + 2 * attention_.groups;
    for (std::int64_t token = begin; token < end; ++token) {
      load_column(first + token - begin, static_cast<const T*>(attention_.joined) + (token * of_token + head) * e);
    }
    padded_ = (count + lanes_at_most - 1) / lanes_at_most * lanes_at_most;
    for (std::int64_t i = 0; i < e; ++i) {
      for (std::int64_t c = 0; c < padded_; ++c)
        across_[index(i * stride_ + c)] = c < count ? rows_[index(c * e + i)] : 0;
    }
  }

  // result_c = sum_i of_head_i column_ci, for all columns and zeros up to a whole vector.
  void products(const W* of_head, W* result) const {
    const hn::ScalableTag<W> d;
    const auto lanes = static_cast<std::int64_t>(hn::Lanes(d));
    for (std::int64_t c = 0; c < padded_; c += lanes) {
      auto sum = hn::Zero(d);
      for (std::int64_t i = 0; i < attention_.width; ++i)
        sum = hn::MulAdd(hn::Set(d, of_head[i]), hn::LoadU(d, across_.data() + i * stride_ + c), sum);
      hn::StoreU(sum, d, result + c);
    }
  }

  // sum_c weight_c column_c, over the columns [from, to).
  template <class Out>
  void mix(const W* weight, std::int64_t from, std::int64_t to, Out* result) const {
    for_lanes<W>(attention_.width, [&](auto d, std::int64_t i) {
      auto sum = hn::Zero(d);
      for (std::int64_t c = from; c < to; ++c)
        sum = hn::MulAdd(hn::Set(d, weight[c]), load(d, rows_.data() + c * attention_.width + i), sum);
      store(d, sum, result + i);
    });
  }

  std::int64_t padded() const { return padded_; }

 private:
  static std::size_t index(std::int64_t i) { return static_cast<std::size_t>(i); }

  void load_column(std::int64_t column, const T* from) {
    W* to = rows_.data() + column * attention_.width;
    for_lanes<W>(attention_.width, [&](auto d, std::int64_t i) { hn::StoreU(load(d, from + i), d, to + i); });
  }

  const AttentionRows& attention_;
  std::int64_t stride_, padded_ = 0;
  std::vector<W> rows_;    // [columns, width]
  std::vector<W> across_;  // [width, stride]: the same, transposed
};

// Tokens and heads of one text and one group, one after another.
struct Query {
  std::int64_t token, head, from, to;  // columns [from, to) are seen
};

template <class Visit>
void for_queries(const AttentionRows& attention, std::int64_t text, std::int64_t group, const Visit& visit) {
  const std::int64_t begin = attention.row_begin[text], end = attention.row_begin[text + 1],
                     of_group = attention.heads / attention.groups;
  for (std::int64_t token = begin; token < end; ++token) {
    const std::int64_t to = attention.first_position[text] + token - begin + 1;
    const std::int64_t from = attention.window > 0 ? std::max<std::int64_t>(0, to - attention.window) : 0;
    for (std::int64_t head = group * of_group; head < (group + 1) * of_group; ++head)
      visit(Query{token, head, from, to});
  }
}

// cap tanh(x / cap) of all scores, without a cap x itself; x the product times the scale.
template <class W>
void scale_scores(const AttentionRows& attention, std::int64_t padded, W* scores) {
  const hn::ScalableTag<W> d;
  const auto lanes = static_cast<std::int64_t>(hn::Lanes(d));
  const auto scale = hn::Set(d, static_cast<W>(attention.scale)), cap = hn::Set(d, static_cast<W>(attention.cap));
  for (std::int64_t c = 0; c < padded; c += lanes) {
    auto score = hn::Mul(hn::LoadU(d, scores + c), scale);
    if (attention.cap != 0) score = hn::Mul(cap, hn::Tanh(d, hn::Div(score, cap)));
    hn::StoreU(score, d, scores + c);
  }
}

// Softmax of the columns [from, to); zeros elsewhere.
template <class W>
void softmax(std::int64_t from, std::int64_t to, std::int64_t padded, W* scores) {
  const hn::ScalableTag<W> d;
  const auto lanes = static_cast<std::int64_t>(hn::Lanes(d));
  const W highest = *std::max_element(scores + from, scores + to);
  std::fill(scores, scores + from, -std::numeric_limits<W>::infinity());
  std::fill(scores + to, scores + padded, -std::numeric_limits<W>::infinity());
  auto sums = hn::Zero(d);
  for (std::int64_t c = 0; c < padded; c += lanes) {
    const auto below = hn::Sub(hn::LoadU(d, scores + c), hn::Set(d, highest));
    const auto part = power(d, below);
    sums = hn::Add(sums, part);
    hn::StoreU(part, d, scores + c);
  }
  const auto sum = hn::SumOfLanes(d, sums);
  for (std::int64_t c = 0; c < padded; c += lanes)
    hn::StoreU(hn::Div(hn::LoadU(d, scores + c), sum), d, scores + c);
}

template <class T>
void widen(std::int64_t count, const T* from, Wide<T>* to) {
  for_lanes<Wide<T>>(count, [&](auto d, std::int64_t i) { hn::StoreU(load(d, from + i), d, to + i); });
}

template <class T>
void forward(const AttentionRows& attention, std::int64_t begin, std::int64_t end) {
  using W = Wide<T>;
  const std::int64_t e = attention.width, heads = attention.heads, of_token = heads + 2 * attention.groups;
  Columns<T> keys(attention), values(attention);
  std::vector<W> scores(static_cast<std::size_t>(keys.stride())), query(static_cast<std::size_t>(e));
  for (std::int64_t text = begin; text < end; ++text) {
    for (std::int64_t group = 0; group < attention.groups; ++group) {
      keys.load_text(text, group, attention.cached_keys, heads + group);
      values.load_text(text, group, attention.cached_values, heads + attention.groups + group);
      for_queries(attention, text, group, [&](const Query& of) {
        widen(e, static_cast<const T*>(attention.joined) + (of.token * of_token + of.head) * e, query.data());
        keys.products(query.data(), scores.data());
        scale_scores(attention, keys.padded(), scores.data());
        softmax(of.from, of.to, keys.padded(), scores.data());
        std::copy_n(scores.data(), of.to,
                    static_cast<W*>(attention.weights) + (of.token * heads + of.head) * attention.columns);
        values.mix(scores.data(), of.from, of.to,
                   static_cast<T*>(attention.mixed) + (of.token * heads + of.head) * e);
      });
    }
  }
}

// With p the softmax's weights, s the scores and g the gradient of what was mixed: dp_c = g . v_c,
// ds = p (dp - sum p dp), of a capped score times 1 - (s / cap)^2; dq = scale sum_c ds_c k_c, dk_c = scale ds_c q,
// dv_c = p_c g. Cached keys and values need no gradients.
template <class T>
void backward(const AttentionRows& attention, std::int64_t begin, std::int64_t end) {
  using W = Wide<T>;
  const hn::ScalableTag<W> d;
  const auto lanes = static_cast<std::int64_t>(hn::Lanes(d));
  const std::int64_t e = attention.width, heads = attention.heads, of_token = heads + 2 * attention.groups;
  const auto* joined = static_cast<const T*>(attention.joined);
  auto* result = static_cast<T*>(attention.joined_gradient);
  Columns<T> keys(attention), values(attention);
  const auto columns = static_cast<std::size_t>(keys.stride()), width = static_cast<std::size_t>(e);
  std::vector<W> weights(columns), slopes(columns), scores(columns), query(width), gradient(width), of_keys,
      of_values;
  for (std::int64_t text = begin; text < end; ++text) {
    const std::int64_t first = attention.first_position[text], own = attention.row_begin[text],
                       tokens = attention.row_begin[text + 1] - own;
    for (std::int64_t group = 0; group < attention.groups; ++group) {
      keys.load_text(text, group, attention.cached_keys, heads + group);
      values.load_text(text, group, attention.cached_values, heads + attention.groups + group);
      of_keys.assign(static_cast<std::size_t>(tokens * e), 0);
      of_values.assign(of_keys.size(), 0);
      for_queries(attention, text, group, [&](const Query& of) {
        const std::int64_t at = of.token * heads + of.head;
        widen(e, joined + (of.token * of_token + of.head) * e, query.data());
        widen(e, static_cast<const T*>(attention.gradient) + at * e, gradient.data());
        std::ranges::fill(weights, W{0});
        std::copy_n(static_cast<const W*>(attention.weights) + at * attention.columns, of.to, weights.data());
        values.products(gradient.data(), slopes.data());
        auto sums = hn::Zero(d);
        for (std::int64_t c = 0; c < keys.padded(); c += lanes)
          sums = hn::MulAdd(hn::LoadU(d, weights.data() + c), hn::LoadU(d, slopes.data() + c), sums);
        const auto along = hn::SumOfLanes(d, sums);
        if (attention.cap != 0) {
          keys.products(query.data(), scores.data());
          scale_scores(attention, keys.padded(), scores.data());
        }
        for (std::int64_t c = 0; c < keys.padded(); c += lanes) {
          auto slope = hn::Mul(hn::LoadU(d, weights.data() + c), hn::Sub(hn::LoadU(d, slopes.data() + c), along));
          if (attention.cap != 0) {
            const auto share = hn::Div(hn::LoadU(d, scores.data() + c), hn::Set(d, static_cast<W>(attention.cap)));
            slope = hn::Mul(slope, hn::NegMulAdd(share, share, hn::Set(d, W{1})));
          }
          hn::StoreU(hn::Mul(slope, hn::Set(d, static_cast<W>(attention.scale))), d, slopes.data() + c);
        }
        keys.mix(slopes.data(), of.from, of.to, result + (of.token * of_token + of.head) * e);
        for (std::int64_t c = std::max(of.from, first); c < of.to; ++c) {
          W* of_key = of_keys.data() + (c - first) * e;
          W* of_value = of_values.data() + (c - first) * e;
          for_lanes<W>(e, [&](auto lane, std::int64_t i) {
            const auto q = hn::LoadU(lane, query.data() + i), g = hn::LoadU(lane, gradient.data() + i);
            hn::StoreU(
                hn::MulAdd(hn::Set(lane, slopes[static_cast<std::size_t>(c)]), q, hn::LoadU(lane, of_key + i)),
                lane, of_key + i);
            hn::StoreU(
                hn::MulAdd(hn::Set(lane, weights[static_cast<std::size_t>(c)]), g, hn::LoadU(lane, of_value + i)),
                lane, of_value + i);
          });
        }
      });
      for (std::int64_t t = 0; t < tokens; ++t) {
        T* of_key = result + ((own + t) * of_token + heads + group) * e;
        T* of_value = of_key + attention.groups * e;
        for_lanes<W>(e, [&](auto lane, std::int64_t i) {
          store(lane, hn::LoadU(lane, of_keys.data() + t * e + i), of_key + i);
          store(lane, hn::LoadU(lane, of_values.data() + t * e + i), of_value + i);
        });
      }
    }
  }
}

void any_forward(const AttentionRows& attention, std::int64_t begin, std::int64_t end) {
  with_element(attention.element, [&](auto element) { forward<decltype(element)>(attention, begin, end); });
}

void any_backward(const AttentionRows& attention, std::int64_t begin, std::int64_t end) {
  with_element(attention.element, [&](auto element) { backward<decltype(element)>(attention, begin, end); });
}

}  // namespace anchorage::worker::kernels::simd::HWY_NAMESPACE
HWY_AFTER_NAMESPACE();

#if HWY_ONCE
namespace anchorage::worker::kernels::simd {

HWY_EXPORT(any_forward);
HWY_EXPORT(any_backward);

void attend_rows(const AttentionRows& attention, std::int64_t begin, std::int64_t end) {
  HWY_DYNAMIC_DISPATCH(any_forward)(attention, begin, end);
}

void attend_rows_back(const AttentionRows& attention, std::int64_t begin, std::int64_t end) {
  HWY_DYNAMIC_DISPATCH(any_backward)(attention, begin, end);
}

}  // namespace anchorage::worker::kernels::simd
#endif
