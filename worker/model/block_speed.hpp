// Measures how fast this machine computes, for estimates of time.
#pragma once

#include "io/model/dtype.hpp"
#include "io/model/model_config.hpp"

namespace anchorage::worker {

// Measures operations per second in blocks of a model with random weights, on the CPU with torch's threads:
// forward and backward through suffixes of `tokens` tokens in rows of five, counted as 4 operations for each
// weight and token, so that time outside matrix products lowers the figure. Weights and activations are of `dtype`.
// Takes about a second, or four passes through `measured_bytes` of weights, at least one block's.
inline constexpr std::int64_t measured_bytes = 100'000'000;
double measured_block_flops(const io::ModelConfig& config, std::int64_t tokens, io::DType dtype);

// Measures operations per second of f64 products [f, f] x [f, edits].
double measured_double_flops(const io::ModelConfig& config, std::int64_t edits);

}  // namespace anchorage::worker
