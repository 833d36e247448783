// The losses of next tokens, out of logits, with their gradient.
#pragma once

#include <torch/types.h>

namespace anchorage::worker::kernels {

struct TokenLossArguments {
  torch::Tensor target_ids;  // [predicted] i64: the tokens after the first rows
  torch::Tensor before;      // [rows - predicted, V] wide: log p_0 of the rows after them
};

// Wide is f32, of f64 logits f64.
struct TokenLosses {
  torch::Tensor nll;     // [predicted] wide: -log p of each target
  torch::Tensor kl;      // [rows - predicted] wide: KL(p_0 || p) = sum p_0 (log p_0 - log p)
  torch::Tensor missed;  // [predicted] bool: another token is more probable, or as probable and before the target
};

// Returns the losses of `logits` [rows, V]; `nll` and `kl` are differentiable by them. The fused form is one node
// of autograd that goes over the logits twice forward and once backward, in their own dtype.
TokenLosses token_losses(const TokenLossArguments& arguments, const torch::Tensor& logits, bool fused);

}  // namespace anchorage::worker::kernels
