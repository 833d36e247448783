// The weights of a decoder-only transformer of any family (io/model/family.hpp), as plain tensors.
//
// All families share one shape of block: norm, attention, residual; norm, MLP, residual; or both in parallel, of
// one norm. What attention and MLP give may go through a norm of its own before it is added. They differ in traits:
// the norm, the positions, the MLP. Notation: V vocabulary, d = d_model, f = d_ff, H heads, G key-value heads, e =
// head_dim.
#pragma once

#include <torch/types.h>

#include <vector>

#include "io/model/model_config.hpp"
#include "sharding/edit_groups.hpp"
#include "worker/kernels/forms.hpp"
#include "worker/model/rotary.hpp"
#include "worker/model/stages.hpp"

namespace anchorage::worker {

struct Norm {
  torch::Tensor weight;  // [d]
  torch::Tensor bias;    // [d]; undefined for RMSNorm
};

struct Linear {
  torch::Tensor weight;  // [out, in]
  torch::Tensor bias;    // [out], or undefined
};

struct Block {
  Norm attention_norm;
  Linear query_key_value;     // [(H + 2 G) e, d]: the rows of q, then k, then v
  Norm query_norm, key_norm;  // [e], of each head; undefined where the family has none
  Linear attention_output;    // [d, H e]
  Norm attention_post_norm;   // of what is added to the residual stream; undefined where the family has none
  Norm mlp_norm;              // undefined in a parallel block
  Linear up;                  // [f, d]; gated MLP: [2 f, d], the rows of the gate, then of the up projection
  Linear down;                // [d, f]: the matrix that is edited; its input is the key
  Norm mlp_post_norm;

  // Returns the number of entries of the four matrices: 2 flops each a token in a forward pass.
  std::int64_t matrix_entries() const;
};

// The part of the model that this rank holds: all of it, or one stage's layers, with the embeddings on the
// first stage and final norm and head on the last.
struct Transformer {
  io::ModelConfig config;
  Stages stages;
  kernels::Forms forms;              // which kernels its passes run
  torch::Tensor token_embedding;     // [V, d]
  torch::Tensor position_embedding;  // [positions, d], or undefined: rotary
  RotaryFrequencies rotary;          // undefined: learned positions
  std::vector<Block> blocks;         // of this stage's layers
  Norm final_norm;
  torch::Tensor head;       // [V, d]; shares the storage of token_embedding when the model ties them
  torch::Tensor head_bias;  // [V], or undefined

  torch::Device device() const { return blocks.front().down.weight.device(); }
  torch::ScalarType dtype() const { return blocks.front().down.weight.scalar_type(); }
  // Returns what determines the size of this model's groups of edits.
  sharding::StepArithmetic step_arithmetic() const {
    return {.on_gpu = device().is_cuda(),
            .width = config.d_model,
            .weight_bytes = static_cast<std::int64_t>(torch::elementSize(dtype()))};
  }
  std::int64_t layers() const { return config.layers; }  // in the whole model
  bool holds(std::int64_t layer) const { return stages.holds(layer); }
  // Returns a layer that this stage holds.
  const Block& block(std::int64_t layer) const;
  Block& block(std::int64_t layer);

  // Returns the bytes of this rank's weights; shared storage counts once.
  std::int64_t bytes() const;
};

}  // namespace anchorage::worker
