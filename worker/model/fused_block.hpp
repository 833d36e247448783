// A block as one node of autograd: forward in kernels (worker/kernels) and products, with its backward written out.
//
// Only gradients by the hidden states: the weights are frozen, and what is cached needs none.
#pragma once

#include "worker/kernels/attention.hpp"
#include "worker/model/transformer.hpp"

namespace anchorage::worker {

struct BlockOutput;

// What a block needs besides its weights. Kept alive by the graph, where one is recorded.
struct BlockContext {
  const io::ModelConfig* config = nullptr;  // borrowed: of the model
  kernels::Forms forms;
  Rotation rotation;  // of the layer; undefined: learned positions
  kernels::AttentionArguments attention;
};

// Runs the block on `hidden` [tokens, d]. What it gives is that of ForwardPass::block_here; differentiable, where
// gradients are recorded, are `hidden`, and where the MLP's output goes through a norm `attended` and `down`.
BlockOutput run_fused_block(const Block& block, const BlockContext& context, const torch::Tensor& hidden);

}  // namespace anchorage::worker
