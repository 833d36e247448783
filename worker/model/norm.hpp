// The norms of a model (worker/kernels/norm.hpp).
#pragma once

#include "worker/kernels/norm.hpp"
#include "worker/model/transformer.hpp"

namespace anchorage::worker {

kernels::NormArguments arguments_of(const Norm& norm, const io::ModelConfig& config);

// Normalizes the last dimension of `input`, to which the norm's weight belongs, in the reference form, as autograd
// records it; the result has the input's dtype.
torch::Tensor normalize(const Norm& norm, const io::ModelConfig& config, const torch::Tensor& input);

// Returns by what the norm multiplies each normalized entry: the weight, or 1 + weight, in at least f32.
torch::Tensor gain_of(const Norm& norm, const io::ModelConfig& config);

}  // namespace anchorage::worker
