// The forward pass of a Transformer, block by block, as functions of tensors. Differentiable by autograd with
// respect to the hidden states; the weights need no gradients.
//
// Notation as in transformer.hpp; tokens are packed as in token_layout.hpp. Where the model is cut into stages, all
// of them make the same calls: hidden states after block l live on the stage that holds l, and the next block's
// call takes them to the stage that holds it. What the calls return on other stages is described in
// stages.hpp.
#pragma once

#include <algorithm>
#include <array>
#include <map>

#include "worker/model/fused_block.hpp"
#include "worker/model/token_layout.hpp"
#include "worker/model/transformer.hpp"

namespace anchorage::worker {

// Attention's keys and values (not the MLP's keys) of positions that a suffix layout no longer holds.
struct AttentionCache {
  torch::Tensor keys;    // [rows, past, G, e], rotated
  torch::Tensor values;  // [rows, past, G, e]
};

// Differentiable by what enters the block are `hidden`, `attended` and `down` alone.
struct BlockOutput {
  torch::Tensor hidden = {};            // [tokens, d]: the residual stream after the block
  torch::Tensor key = {};               // [tokens, f]: the input of the down projection, the *key* of editing
  torch::Tensor attention_keys = {};    // [tokens, G, e], rotated
  torch::Tensor attention_values = {};  // [tokens, G, e]

  // Where the MLP's output goes through a norm before it is added (mlp_post_norm); undefined in other families:
  // hidden = attended + norm(down).
  torch::Tensor attended = {};  // [tokens, d]: the residual stream before the MLP is added
  torch::Tensor down = {};      // [tokens, d]: the output of the down projection
};

// Runs one layout through a model. Borrows the model.
class ForwardPass {
 public:
  ForwardPass(const Transformer& model, TokenLayout layout);

  const TokenLayout& layout() const { return layout_; }

  // Returns the token (and position) embeddings: [tokens, d] in the model's dtype, on the first stage.
  torch::Tensor embed() const;

  // Runs block `layer` on `entering` [tokens, d]; a suffix layout needs `cache`.
  BlockOutput block(std::int64_t layer, const torch::Tensor& entering, const AttentionCache* cache = nullptr) const;

  // Do the two parts of `block` apart: takes what enters a block to its stage, from the stage of the block before;
  // and runs a block on what has been taken there.
  torch::Tensor enter(std::int64_t layer, const torch::Tensor& hidden) const;
  BlockOutput block_here(std::int64_t layer, const torch::Tensor& hidden,
                         const AttentionCache* cache = nullptr) const;

  // Returns the residual stream after a block that this stage holds and whose MLP's output goes through a norm:
  // attended + norm(down) [n, d].
  static torch::Tensor hidden_of(const Transformer& model, std::int64_t layer, const torch::Tensor& attended,
                                 const torch::Tensor& down);

  // Runs blocks [first, last) without a cache, on what has been taken to the stage of the first one.
  torch::Tensor blocks(std::int64_t first, std::int64_t last, torch::Tensor hidden) const;

  // Run all blocks below `layer` in two parts. The first ends where hidden states begin to go through the stages
  // once more (Stages::second_pass), and has sent them on; the second returns what enters `layer`, on its stage, or
  // what leaves the last block where `layer` is the number of layers. For several passes: begin them one after
  // another, and finish them in the same order before anything else, so that stages work on different ones.
  torch::Tensor begin_below(std::int64_t layer) const;
  torch::Tensor finish_below(std::int64_t layer, const torch::Tensor& begun) const;

  // Moves the hidden states after block `layer` to the last stage, where the head is.
  torch::Tensor to_last_stage(std::int64_t layer, const torch::Tensor& hidden) const;

 private:
  // Do the two parts of `enter` apart: the first sends from the stage of the block before, the second receives on
  // the stage of `layer`.
  torch::Tensor leave_for(std::int64_t layer, const torch::Tensor& hidden) const;
  torch::Tensor arrive_at(std::int64_t layer, const torch::Tensor& hidden) const;
  int stage_before(std::int64_t layer) const {
    return model_.stages.stage_of(std::max<std::int64_t>(0, layer - 1));
  }
  // The layer with which the second part of the blocks below `layer` begins.
  std::int64_t second_part(std::int64_t layer) const;
  // What is sent between stages.
  std::array<std::int64_t, 2> hidden_shape() const { return {layout().tokens(), model_.config.d_model}; }
  const torch::Tensor& mask_of(std::int64_t layer) const;
  const Rotation& rotation_of_layer(std::int64_t layer) const {
    return model_.config.window_of(layer) > 0 ? local_rotation_ : rotation_;
  }
  BlockContext context_of(std::int64_t layer, const AttentionCache* cache) const;
  BlockOutput reference_block(std::int64_t layer, const torch::Tensor& hidden, const AttentionCache* cache) const;

  const Transformer& model_;
  TokenLayout layout_;
  Rotation rotation_;        // in the model's dtype; undefined: learned positions
  Rotation local_rotation_;  // of layers with a window
  torch::Tensor mask_;       // the layout's mask, in the dtype of the attention scores
  std::map<std::int64_t, torch::Tensor>
      windowed_masks_;  // by window: of layers that see only the nearest positions
};

// Applies final norm and head, on the last stage: returns the logits [n, V] of the token after each of `hidden` [n,
// d], in the model's dtype, or where the family caps them in f32 (f64 for an f64 model).
torch::Tensor next_token_logits(const Transformer& model, const torch::Tensor& hidden);

// Returns their log-probabilities [n, V] f32 (f64 for an f64 model).
torch::Tensor next_token_log_probabilities(const Transformer& model, const torch::Tensor& hidden);

}  // namespace anchorage::worker
