#include "worker/kernels/attention.hpp"

#include <torch/utils.h>

#include <algorithm>
#include <optional>

#include "worker/kernels/rows.hpp"

namespace anchorage::worker::kernels {
namespace {

// Beyond this many columns products of whole texts are faster than the rows' own: on a CPU as measured. Of GPUs
// that is an estimate, and unmeasured: each query reads keys and values again, out of the L2 cache, so of some
// hundred tokens of 40 heads of 128 entries a column costs a microsecond; the reference form launches some 25
// kernels, 5 us each.
std::int64_t fused_columns(const torch::Tensor& joined) {
  return joined.is_cpu() ? 64 : 128;
}

// What the fused form works on, where it is asked for and there is one.
std::optional<AttentionRows> fused_rows(const AttentionArguments& arguments, const torch::Tensor& joined,
                                        bool fused) {
  if (!fused || arguments.columns > fused_columns(joined) || !are_fused_on(joined, cuda::attention_family))
    return std::nullopt;
  AttentionRows rows{.element = element_of(joined),
                     .heads = arguments.heads,
                     .groups = arguments.groups,
                     .width = joined.size(2),
                     .columns = arguments.columns,
                     .window = arguments.window,
                     .scale = 1 / arguments.divisor,
                     .cap = arguments.cap,
                     .row_begin = arguments.row_begin.const_data_ptr<std::int64_t>(),
                     .first_position = arguments.first_position.const_data_ptr<std::int64_t>(),
                     .joined = joined.const_data_ptr(),
                     .text_of_token = arguments.text_of_token.const_data_ptr<std::int64_t>()};
  if (arguments.cached_keys.defined()) {
    rows.cached_keys = arguments.cached_keys.const_data_ptr();
    rows.cached_values = arguments.cached_values.const_data_ptr();
    rows.cache_stride = arguments.cached_keys.stride(0);
  }
  return rows;
}

// On a CPU: texts do not depend on each other.
void over_texts(void (*kernel)(const AttentionRows&, std::int64_t, std::int64_t), const AttentionRows& rows,
                const AttentionArguments& arguments) {
  const std::int64_t texts = arguments.first_position.size(0), tokens = arguments.text_of_token.size(0);
  const std::int64_t of_text = tokens / std::max<std::int64_t>(1, texts) + 1;
  over_rows(kernel, rows, texts, of_text * rows.heads * rows.columns * rows.width / 16);
}

// The reference form: texts padded to the longest, [texts * G, ...].
class PaddedTexts {
 public:
  PaddedTexts(const AttentionArguments& arguments, const torch::Tensor& joined)
      : arguments_(arguments),
        texts_(arguments.first_position.size(0)),
        length_(arguments.packed_index.size(0) / texts_),
        width_(joined.size(2)) {
    const std::int64_t heads = arguments.heads, groups = arguments.groups;
    const auto padded =
        joined.index_select(0, arguments.packed_index).view({texts_, length_, joined.size(1), width_});
    queries_ = by_group(padded.narrow(2, 0, heads), heads / groups * length_);
    const auto with_past = [&](std::int64_t head, const torch::Tensor& cached) {
      const auto here = padded.narrow(2, head, groups);
      const auto all = cached.defined() ? at::cat({cached, here}, 1) : here;
      return by_group(all, all.size(1));
    };
    keys_ = with_past(heads, arguments.cached_keys);
    values_ = with_past(heads + groups, arguments.cached_values);
    seen_ = keys_.size(1);
  }

  // Scores after the scale and the cap: [texts, H, length, seen] wide.
  torch::Tensor scores() const {
    const auto products = at::bmm(queries_, keys_.transpose(1, 2));
    const auto scaled =
        products.view({texts_, arguments_.heads, length_, seen_}).to(wide_of(products.scalar_type())) /
        arguments_.divisor;
    return arguments_.cap == 0 ? scaled : at::tanh(scaled / arguments_.cap) * arguments_.cap;
  }

  torch::Tensor mixed_by(const torch::Tensor& weights) const {
    return at::bmm(weights.view({texts_ * arguments_.groups, -1, seen_}), values_)
        .view({texts_, arguments_.heads, length_, width_})
        .permute({0, 2, 1, 3})
        .reshape({texts_ * length_, arguments_.heads * width_})
        .index_select(0, arguments_.padded_index);
  }

  torch::Tensor backward(const torch::Tensor& gradient, const torch::Tensor& weights) const {
    const std::int64_t heads = arguments_.heads, groups = arguments_.groups, of_group = heads / groups;
    const auto wide = wide_of(gradient.scalar_type());
    auto padded = gradient.index_select(0, arguments_.packed_index).view({texts_, length_, heads, width_});
    padded = by_group(padded * is_token(gradient), of_group * length_);
    const auto by_group_weights = weights.view({texts_ * groups, of_group * length_, seen_});
    const auto of_values = at::bmm(by_group_weights.transpose(1, 2), padded);
    const auto of_weights = at::bmm(padded, values_.transpose(1, 2)).view_as(weights).to(wide);
    auto of_scores = at::_softmax_backward_data(of_weights, weights.to(wide), -1, wide);
    if (arguments_.cap != 0) of_scores = of_scores * (1 - (scores() / arguments_.cap).square());
    const auto slopes = (of_scores / arguments_.divisor).to(gradient.scalar_type()).view_as(by_group_weights);
    const auto of_queries = at::bmm(slopes, keys_);
    const auto of_keys = at::bmm(slopes.transpose(1, 2), queries_);
    const auto here = [&](const torch::Tensor& of_columns) {
      return of_columns.narrow(1, seen_ - length_, length_)
          .view({texts_, groups, length_, width_})
          .permute({0, 2, 1, 3});
    };
    return at::cat({of_queries.view({texts_, heads, length_, width_}).permute({0, 2, 1, 3}), here(of_keys),
                    here(of_values)},
                   2)
        .view({texts_ * length_, heads + 2 * groups, width_})
        .index_select(0, arguments_.padded_index);
  }

 private:
  torch::Tensor by_group(const torch::Tensor& heads, std::int64_t rows) const {
    return heads.permute({0, 2, 1, 3}).reshape({texts_ * arguments_.groups, rows, width_});
  }

  // 1 where a token stands, 0 where the text is shorter: [texts, length, 1, 1].
  torch::Tensor is_token(const torch::Tensor& like) const {
    return torch::zeros({texts_ * length_}, like.options())
        .index_fill(0, arguments_.padded_index, 1)
        .view({texts_, length_, 1, 1});
  }

  const AttentionArguments& arguments_;
  std::int64_t texts_, length_, width_, seen_ = 0;
  torch::Tensor queries_;        // [texts * G, H / G * length, e]
  torch::Tensor keys_, values_;  // [texts * G, past + length, e]
};

}  // namespace

Attended attend(const AttentionArguments& arguments, const torch::Tensor& joined, bool fused) {
  auto rows = fused_rows(arguments, joined, fused);
  if (!rows) {
    const PaddedTexts texts(arguments, joined);
    const auto weights = at::softmax(texts.scores() + arguments.mask, -1).to(joined.scalar_type());
    return {texts.mixed_by(weights), weights};
  }
  const std::int64_t tokens = joined.size(0);
  Attended attended{
      torch::empty({tokens, rows->heads * rows->width}, joined.options()),
      torch::empty({tokens, rows->heads, rows->columns}, joined.options().dtype(wide_of(joined.scalar_type())))};
  rows->mixed = attended.mixed.data_ptr();
  rows->weights = attended.weights.data_ptr();
  if (joined.is_cpu()) {
    over_texts(simd::attend_rows, *rows, arguments);
  } else {
    cuda::launch(cuda::attend, rows->element, joined.device(), cuda::block_per_query(*rows, tokens), &*rows);
  }
  return attended;
}

torch::Tensor attend_backward(const AttentionArguments& arguments, const torch::Tensor& gradient,
                              const torch::Tensor& joined, const Attended& attended, bool fused) {
  auto rows = fused_rows(arguments, joined, fused);
  if (!rows) return PaddedTexts(arguments, joined).backward(gradient, attended.weights);
  auto by_joined = torch::empty_like(joined);
  rows->weights = attended.weights.data_ptr();
  rows->gradient = gradient.const_data_ptr();
  rows->joined_gradient = by_joined.data_ptr();
  if (joined.is_cpu()) {
    over_texts(simd::attend_rows_back, *rows, arguments);
    return by_joined;
  }
  const auto slopes = torch::empty_like(attended.weights);
  rows->slopes = slopes.data_ptr();
  const std::int64_t tokens = joined.size(0);
  cuda::launch(cuda::attend_back_by_queries, rows->element, joined.device(), cuda::block_per_query(*rows, tokens),
               &*rows);
  cuda::launch(cuda::attend_back_by_columns, rows->element, joined.device(), cuda::block_per_column(*rows, tokens),
               &*rows);
  return by_joined;
}

}  // namespace anchorage::worker::kernels
