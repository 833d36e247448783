// How fast this machine computes, for estimates of time.
#pragma once

#include "io/model/model_config.hpp"

namespace anchorage::worker {

// Operations a second in blocks of a model with random weights, on the CPU with torch's threads: forward and
// backward through suffixes of `tokens` tokens in rows of five, counted as 4 for each weight and token, so that
// what is not a matrix product lowers it. Takes about a second, and up to 100 MB or one block's weights in f32.
double measured_block_flops(const io::ModelConfig& config, std::int64_t tokens);

// The same of f64 products [f, f] x [f, edits].
double measured_double_flops(const io::ModelConfig& config, std::int64_t edits);

}  // namespace anchorage::worker
