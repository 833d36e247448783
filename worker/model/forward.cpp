#include "worker/model/forward.hpp"

#include <algorithm>
#include <cmath>

#include "io/error.hpp"
#include "worker/kernels/attention.hpp"
#include "worker/kernels/gate.hpp"
#include "worker/kernels/rotation.hpp"
#include "worker/kernels/rows.hpp"
#include "worker/model/norm.hpp"
#include "worker/model/products.hpp"

namespace anchorage::worker {
namespace {

constexpr std::string_view hand_over = "hand over residual stream";

torch::Tensor linear(const Linear& layer, const torch::Tensor& input) {
  return layer.bias.defined() ? at::linear(input, layer.weight, layer.bias) : at::linear(input, layer.weight);
}

}  // namespace

ForwardPass::ForwardPass(const Transformer& model, TokenLayout layout) : model_(model), layout_(std::move(layout)) {
  mask_ = layout_.mask.to(kernels::wide_of(model.dtype()));
  for (const std::int64_t window : model.config.windows) {
    // A window that no row is longer than hides nothing.
    if (window > 0 && window < layout_.longest_row && !windowed_masks_.contains(window))
      windowed_masks_[window] = mask_ + window_mask(layout_, window).to(mask_.scalar_type());
  }
  if (model.config.traits().positions != io::PositionKind::rotary) return;
  const auto rotation = [&](bool local) {
    const Rotation of_tokens = rotation_of(model.rotary, model.config, layout_, local);
    return Rotation{of_tokens.cosine.to(model.dtype()), of_tokens.sine.to(model.dtype())};
  };
  rotation_ = rotation(false);
  local_rotation_ = model.config.local_rope_theta > 0 ? rotation(true) : rotation_;
}

const torch::Tensor& ForwardPass::mask_of(std::int64_t layer) const {
  const auto found = windowed_masks_.find(model_.config.window_of(layer));
  return found == windowed_masks_.end() ? mask_ : found->second;
}

torch::Tensor ForwardPass::embed() const {
  if (!model_.stages.is_first()) return {};
  auto tokens = model_.token_embedding.index_select(0, layout_.ids);
  if (model_.config.traits().scaled_embedding) {
    // sqrt(d) rounded to the model's dtype, as in transformers.
    const double scale = std::sqrt(static_cast<double>(model_.config.d_model));
    tokens = tokens * torch::tensor(scale, torch::kFloat).to(model_.dtype());
  }
  if (model_.config.traits().positions != io::PositionKind::learned) return tokens;
  return tokens + model_.position_embedding.index_select(0, layout_.positions);
}

torch::Tensor ForwardPass::to_last_stage(std::int64_t layer, const torch::Tensor& hidden) const {
  const Stages& stages = model_.stages;
  return stages.move(hidden, stages.stage_of(layer), stages.last(), hidden_shape(), model_.dtype(), hand_over);
}

torch::Tensor ForwardPass::leave_for(std::int64_t layer, const torch::Tensor& hidden) const {
  return model_.stages.send(hidden, stage_before(layer), model_.stages.stage_of(layer), hidden_shape(),
                            model_.dtype(), hand_over);
}

torch::Tensor ForwardPass::arrive_at(std::int64_t layer, const torch::Tensor& hidden) const {
  return model_.stages.receive(hidden, stage_before(layer), model_.stages.stage_of(layer), hidden_shape(),
                               model_.dtype(), hand_over);
}

torch::Tensor ForwardPass::enter(std::int64_t layer, const torch::Tensor& hidden) const {
  return arrive_at(layer, leave_for(layer, hidden));
}

BlockOutput ForwardPass::block(std::int64_t layer, const torch::Tensor& entering,
                               const AttentionCache* cache) const {
  return block_here(layer, enter(layer, entering), cache);
}

BlockOutput ForwardPass::block_here(std::int64_t layer, const torch::Tensor& hidden,
                                    const AttentionCache* cache) const {
  if (!model_.holds(layer)) return {.hidden = hidden};
  io::check(cache != nullptr || layout_.past == 0, "a suffix needs the cache of what stands before it");
  if (!model_.forms.block) return reference_block(layer, hidden, cache);
  return run_fused_block(model_.block(layer), context_of(layer, cache), hidden);
}

BlockContext ForwardPass::context_of(std::int64_t layer, const AttentionCache* cache) const {
  const auto& config = model_.config;
  BlockContext context{.config = &config,
                       .forms = model_.forms,
                       .rotation = rotation_of_layer(layer),
                       .attention = {.heads = config.heads,
                                     .groups = config.kv_heads,
                                     .divisor = std::sqrt(config.query_scalar()),
                                     .cap = config.attention_cap,
                                     .window = config.window_of(layer),
                                     .columns = layout_.longest_row,
                                     .row_begin = layout_.row_begin_here,
                                     .first_position = layout_.first_position_here,
                                     .text_of_token = layout_.row_of_token,
                                     .padded_index = layout_.padded_index,
                                     .packed_index = layout_.packed_index,
                                     .mask = mask_of(layer),
                                     .cached_keys = {},
                                     .cached_values = {}}};
  if (cache) {
    context.attention.cached_keys = cache->keys;
    context.attention.cached_values = cache->values;
  }
  return context;
}

// The block as autograd records it, operation by operation.
BlockOutput ForwardPass::reference_block(std::int64_t layer, const torch::Tensor& hidden,
                                         const AttentionCache* cache) const {
  const auto& config = model_.config;
  const Block& block = model_.block(layer);
  const std::int64_t tokens = hidden.size(0), heads = config.heads, groups = config.kv_heads,
                     width = config.head_dim;

  const auto normed = normalize(block.attention_norm, config, hidden);
  const auto joined = linear(block.query_key_value, normed).view({tokens, heads + 2 * groups, width});
  auto query = joined.narrow(1, 0, heads), key = joined.narrow(1, heads, groups);
  const auto value = joined.narrow(1, heads + groups, groups);
  if (block.query_norm.weight.defined()) query = normalize(block.query_norm, config, query);
  if (block.key_norm.weight.defined()) key = normalize(block.key_norm, config, key);
  const Rotation& angles = rotation_of_layer(layer);
  if (angles.cosine.defined()) {
    const kernels::RotationArguments rotation{config.traits().rotary_pairs, angles.cosine, angles.sine};
    query = kernels::rotate(rotation, query);
    key = kernels::rotate(rotation, key);
  }
  const auto after = [&](const Norm& post_norm, const torch::Tensor& output) {
    return post_norm.weight.defined() ? normalize(post_norm, config, output) : output;
  };
  const auto attention = linear(
      block.attention_output,
      kernels::attend(context_of(layer, cache).attention, at::cat({query, key, value}, 1), /*fused=*/false).mixed);
  const auto attended = hidden + after(block.attention_post_norm, attention);
  const bool parallel = config.traits().parallel_block;
  const auto mlp_key = kernels::activate(
      {config.activation, config.traits().gated_mlp},
      linear(block.up, parallel ? normed : normalize(block.mlp_norm, config, attended)), /*fused=*/false);
  const auto down = linear(block.down, mlp_key);
  BlockOutput output{.hidden = attended + after(block.mlp_post_norm, down),
                     .key = mlp_key,
                     .attention_keys = key,
                     .attention_values = value};
  if (block.mlp_post_norm.weight.defined()) {
    output.attended = attended;
    output.down = down;
  }
  return output;
}

torch::Tensor ForwardPass::hidden_of(const Transformer& model, std::int64_t layer, const torch::Tensor& attended,
                                     const torch::Tensor& down) {
  return attended + normalize(model.block(layer).mlp_post_norm, model.config, down);
}

torch::Tensor ForwardPass::blocks(std::int64_t first, std::int64_t last, torch::Tensor hidden) const {
  for (std::int64_t layer = first; layer < last; ++layer)
    hidden = block_here(layer, layer == first ? hidden : enter(layer, hidden)).hidden;
  return hidden;
}

std::int64_t ForwardPass::second_part(std::int64_t layer) const {
  return std::min(layer, model_.stages.second_pass(model_.layers()));
}

torch::Tensor ForwardPass::begin_below(std::int64_t layer) const {
  const std::int64_t next = second_part(layer);
  const auto hidden = blocks(0, next, embed());
  return next == model_.layers() ? hidden : leave_for(next, hidden);
}

torch::Tensor ForwardPass::finish_below(std::int64_t layer, const torch::Tensor& begun) const {
  const std::int64_t next = second_part(layer);
  if (next == model_.layers()) return begun;
  const auto hidden = blocks(next, layer, arrive_at(next, begun));
  return next == layer || layer == model_.layers() ? hidden : enter(layer, hidden);
}

torch::Tensor next_token_logits(const Transformer& model, const torch::Tensor& hidden) {
  const auto logits = differentiable_product({.weight = model.head, .bias = model.head_bias},
                                             normalize(model.final_norm, model.config, hidden));
  const double cap = model.config.head_cap;
  return cap == 0 ? logits : at::tanh(logits.to(kernels::wide_of(logits.scalar_type())) / cap) * cap;
}

torch::Tensor next_token_log_probabilities(const Transformer& model, const torch::Tensor& hidden) {
  const auto logits = next_token_logits(model, hidden);
  return at::log_softmax(logits.to(kernels::wide_of(logits.scalar_type())), -1);
}

}  // namespace anchorage::worker
