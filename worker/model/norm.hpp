// The norms of all families (io::NormKind).
#pragma once

#include "worker/model/transformer.hpp"

namespace anchorage::worker {

// Normalizes the last dimension of `input`, to which the norm's weight belongs; the result has the input's dtype.
torch::Tensor normalize(const Norm& norm, const io::ModelConfig& config, const torch::Tensor& input);

// Returns by what the norm multiplies each normalized entry: the weight, or 1 + weight, in at least f32.
torch::Tensor gain_of(const Norm& norm, const io::ModelConfig& config);

// Returns at least f32, for values that must not be rounded to 8 bits on the way.
torch::ScalarType accurate(torch::ScalarType dtype);

}  // namespace anchorage::worker
