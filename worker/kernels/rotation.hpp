// Rotary positions (RoPE, arXiv 2104.09864).
#pragma once

#include <torch/types.h>

#include "io/model/family.hpp"

namespace anchorage::worker::kernels {

struct RotationArguments {
  io::RotaryPairs pairs = io::RotaryPairs::halves;
  torch::Tensor cosine, sine;  // [tokens, 1, turned], both entries of a pair alike; in the dtype of what they turn
};

// Turns the first `turned` entries of each head of `heads` [tokens, heads, e], pair by pair; returns all entries.
torch::Tensor rotate(const RotationArguments& rotation, const torch::Tensor& heads);

// Turns the first `heads` heads of `joined` [tokens, more heads, e], contiguous, in place; `back`: by the opposite
// angles, which takes the gradient by what was turned to that by what turns.
void rotate_in_place(const RotationArguments& rotation, const torch::Tensor& joined, std::int64_t heads, bool back,
                     bool fused);

}  // namespace anchorage::worker::kernels
