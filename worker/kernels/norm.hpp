// The norms of all families (io::NormKind) with their gradients by the input; weights are frozen.
#pragma once

#include <torch/types.h>

#include "io/model/family.hpp"

namespace anchorage::worker::kernels {

struct NormArguments {
  io::NormKind kind = io::NormKind::rms_norm;
  torch::Tensor weight;  // [width]
  torch::Tensor bias;    // [width]; undefined for RMSNorm
  double epsilon = 0;
};

// Returns by what a normalized entry is multiplied: the weight, or 1 + weight; [width] wide (rows.hpp).
torch::Tensor gain_of(const NormArguments& norm);

struct Normed {
  torch::Tensor output;         // as the input
  torch::Tensor mean, inverse;  // what the backward needs: [..., 1], mean of LayerNorm alone
};

// Normalizes the last dimension of `input` [..., width], contiguous.
//
//   RMSNorm (arXiv 1910.07467):   y = x r w, r = (mean x^2 + epsilon)^(-1/2)
//   LayerNorm (arXiv 1607.06450): torch's own
//
// Rounds x r before the weight, as transformers does, but of rms_norm_plus_one.
Normed normalize(const NormArguments& norm, const torch::Tensor& input, bool fused);

// Returns the gradient by the input, of that by the output, plus `residual` (or undefined). With RMSNorm
//
//   dx = r w g - x r^3 mean(w g x)
torch::Tensor normalize_backward(const NormArguments& norm, const torch::Tensor& gradient,
                                 const torch::Tensor& input, const Normed& normed, const torch::Tensor& residual,
                                 bool fused);

}  // namespace anchorage::worker::kernels
