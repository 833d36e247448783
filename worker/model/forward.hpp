// The forward pass of a Transformer, block by block, as functions of tensors. Differentiable by autograd with
// respect to the hidden states; the weights need no gradients.
//
// Notation as in transformer.hpp; tokens are packed as in token_layout.hpp. Where the model is cut into stages, all
// of them make the same calls: hidden states after block l live on the stage that holds l, and the next block's
// call takes them to the stage that holds it. What comes out on other stages is as stages.hpp says.
#pragma once

#include "worker/model/token_layout.hpp"
#include "worker/model/transformer.hpp"

namespace anchorage::worker {

// Keys and values of attention (not the MLP's keys) of positions that a layout does not hold any more.
struct AttentionCache {
  torch::Tensor keys;    // [rows, past, G, e], rotated
  torch::Tensor values;  // [rows, past, G, e]
};

struct BlockOutput {
  torch::Tensor hidden;            // [tokens, d]: the residual stream after the block
  torch::Tensor key;               // [tokens, f]: the input of the down projection, the *key* of editing
  torch::Tensor attention_keys;    // [tokens, G, e], rotated
  torch::Tensor attention_values;  // [tokens, G, e]
};

// One layout's way through a model. Borrows the model.
class ForwardPass {
 public:
  ForwardPass(const Transformer& model, TokenLayout layout);

  const TokenLayout& layout() const { return layout_; }

  // Token (and position) embeddings: [tokens, d] in the model's dtype, on the first stage.
  torch::Tensor embed() const;

  // Block `layer` on `entering` [tokens, d]; `cache` must be given when the layout is a suffix.
  BlockOutput block(std::int64_t layer, const torch::Tensor& entering, const AttentionCache* cache = nullptr) const;

  // Blocks [first, last) without a cache.
  torch::Tensor blocks(std::int64_t first, std::int64_t last, torch::Tensor hidden) const;

  // The hidden states after block `layer` on the last stage, where the head is.
  torch::Tensor to_last_stage(std::int64_t layer, const torch::Tensor& hidden) const;

 private:
  torch::Tensor to_stage(const torch::Tensor& hidden, int from, int to) const;
  torch::Tensor attend(const torch::Tensor& query, const torch::Tensor& key, const torch::Tensor& value,
                       const AttentionCache* cache) const;
  torch::Tensor padded(const torch::Tensor& packed) const;

  const Transformer& model_;
  TokenLayout layout_;
  torch::Tensor cosine_;  // [tokens, 1, e] of the rotary angle, or undefined
  torch::Tensor sine_;    // [tokens, 1, e]
  torch::Tensor mask_;    // the layout's, in the dtype of the attention scores
};

// Final norm and head, on the last stage: log-probabilities [n, V] f32 (f64 for an f64 model) of the token after
// each of `hidden` [n, d].
torch::Tensor next_token_log_probabilities(const Transformer& model, const torch::Tensor& hidden);

}  // namespace anchorage::worker
