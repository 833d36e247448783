// The angles by which queries and keys are turned (RoPE, arXiv 2104.09864), with the scalings of
// io/model/rope_scaling.
#pragma once

#include <torch/types.h>

#include "io/model/model_config.hpp"
#include "worker/model/token_layout.hpp"

namespace anchorage::worker {

// Radians a position: [e / 2] f64.
struct RotaryFrequencies {
  torch::Tensor frequencies;
  // Of texts longer than original_max_position_embeddings, where they have their own (longrope); else undefined.
  torch::Tensor of_long_texts;
};

RotaryFrequencies rotary_frequencies(const io::ModelConfig& config, torch::Device device);

// Cosine and sine of each token's angles, times the scaling's attention factor: [tokens, 1, e] f64. A row of the
// layout is a text, whichever of its tokens the layout holds.
struct Rotation {
  torch::Tensor cosine, sine;
};
Rotation rotation_of(const RotaryFrequencies& rotary, const io::ModelConfig& config, const TokenLayout& layout);

}  // namespace anchorage::worker
