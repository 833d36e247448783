// The angles by which queries and keys are turned (RoPE, arXiv 2104.09864), with the scalings of
// io/model/rope_scaling.
#pragma once

#include <torch/types.h>

#include "io/model/model_config.hpp"
#include "worker/model/token_layout.hpp"

namespace anchorage::worker {

// Radians a position: [rotary_dim / 2] f64.
struct RotaryFrequencies {
  torch::Tensor frequencies;
  // Of texts longer than original_max_position_embeddings, where they have their own (longrope); else undefined.
  torch::Tensor of_long_texts;
  // Of layers with a window, where they have their own theta; else undefined.
  torch::Tensor of_local_layers = {};
};

RotaryFrequencies rotary_frequencies(const io::ModelConfig& config, torch::Device device);

// Cosine and sine of each token's angles, times the scaling's attention factor: [tokens, 1, rotary_dim] f64, in the
// order of the family's pairs. A row of the layout is a text, whichever of its tokens the layout holds. `local`: of
// the layers with a window.
struct Rotation {
  torch::Tensor cosine, sine;
};
Rotation rotation_of(const RotaryFrequencies& rotary, const io::ModelConfig& config, const TokenLayout& layout,
                     bool local = false);

}  // namespace anchorage::worker
