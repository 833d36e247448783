// Attention of packed tokens to the cached ones of their texts and to each other, with its gradient.
//
// Tokens are packed as in worker/model/token_layout.hpp; e is the head size, H heads read G key-value heads. A
// text's column c is its position c: below its first position here it is cached.
#pragma once

#include <torch/types.h>

namespace anchorage::worker::kernels {

struct AttentionArguments {
  std::int64_t heads = 0, groups = 0;  // H, G
  double divisor = 1;                  // of products before the cap
  double cap = 0;                      // s = cap tanh(s / cap); 0: none
  std::int64_t window = 0;             // positions that a token sees, with its own; 0: all before it

  // The layout, all on the device of what attends.
  std::int64_t columns = 0;      // of the longest text
  torch::Tensor row_begin;       // [texts + 1] i64
  torch::Tensor first_position;  // [texts] i64
  torch::Tensor text_of_token;   // [tokens] i64
  torch::Tensor padded_index;    // [tokens] i64: where each token stands in [texts, length]
  torch::Tensor
      packed_index;    // [texts * length] i64: the token that stands there, where there is none the text's last
  torch::Tensor mask;  // [texts, 1, length, past + length] wide: what is seen, the window with it

  // [texts, past, G, e], rotated keys and values; undefined where nothing is cached.
  torch::Tensor cached_keys, cached_values;
};

struct Attended {
  torch::Tensor mixed;  // [tokens, H e]
  torch::Tensor
      weights;  // for the backward: the fused form's [tokens, H, columns], or the reference's [texts, H, ...]
};

// softmax(capped(q k^T / divisor) + mask) v of `joined` [tokens, H + 2 G, e], contiguous: queries and keys,
// rotated, and values. Heads [g H/G, (g+1) H/G) read key-value head g.
Attended attend(const AttentionArguments& arguments, const torch::Tensor& joined, bool fused);

// Returns the gradient by `joined`, of that by `mixed`; what is cached needs none.
torch::Tensor attend_backward(const AttentionArguments& arguments, const torch::Tensor& gradient,
                              const torch::Tensor& joined, const Attended& attended, bool fused);

}  // namespace anchorage::worker::kernels
