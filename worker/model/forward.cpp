#include "worker/model/forward.hpp"

#include <algorithm>
#include <cmath>

#include "io/error.hpp"
#include "worker/model/norm.hpp"

namespace anchorage::worker {
namespace {

constexpr std::string_view hand_over = "hand over residual stream";

torch::Tensor linear(const Linear& layer, const torch::Tensor& input) {
  return layer.bias.defined() ? at::linear(input, layer.weight, layer.bias) : at::linear(input, layer.weight);
}

// cap * tanh(x / cap), without a cap x itself.
torch::Tensor capped(const torch::Tensor& values, double cap) {
  return cap == 0 ? values : at::tanh(values / cap) * cap;
}

// Rotates pairs of the first entries of each head by the position's angles (RoPE, arXiv 2104.09864).
torch::Tensor rotate(const torch::Tensor& heads, io::RotaryPairs pairs, const Rotation& rotation) {
  const auto& [cosine, sine] = rotation;
  const std::int64_t turned = cosine.size(-1), rest = heads.size(-1) - turned;
  if (rest > 0) {
    return at::cat({rotate(heads.narrow(-1, 0, turned), pairs, rotation), heads.narrow(-1, turned, rest)}, -1);
  }
  if (pairs == io::RotaryPairs::neighbors) {
    const auto pair = heads.unflatten(-1, {-1, 2});
    const auto quarter_turn = at::stack({-pair.select(-1, 1), pair.select(-1, 0)}, -1).flatten(-2);
    return heads * cosine + quarter_turn * sine;
  }
  const auto halves = heads.chunk(2, -1);
  return heads * cosine + at::cat({-halves[1], halves[0]}, -1) * sine;
}

torch::Tensor activate(io::Activation activation, const torch::Tensor& input) {
  switch (activation) {
    case io::Activation::silu:
      return at::silu(input);
    case io::Activation::gelu_new:
      return at::gelu(input, "tanh");
    case io::Activation::gelu:
      return at::gelu(input, "none");
  }
  throw io::InternalError("an activation without a function");
}

// Computes the input of the down projection from the output of the up projection: [tokens, f] from [tokens, f
// or 2 f].
torch::Tensor mlp_key_of(const io::ModelConfig& config, const torch::Tensor& up) {
  if (!config.traits().gated_mlp) return activate(config.activation, up);
  const auto halves = up.chunk(2, -1);
  return activate(config.activation, halves[0]) * halves[1];
}

}  // namespace

ForwardPass::ForwardPass(const Transformer& model, TokenLayout layout) : model_(model), layout_(std::move(layout)) {
  mask_ = layout_.mask.to(accurate(model.dtype()));
  for (const std::int64_t window : model.config.windows) {
    // A window that no row is longer than hides nothing.
    if (window > 0 && window < layout_.longest_row() && !windowed_masks_.contains(window))
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

// [tokens, ...] -> [rows, length, ...], zeros where a row is shorter.
torch::Tensor ForwardPass::padded(const torch::Tensor& packed) const {
  auto shape = packed.sizes().vec();
  shape[0] = layout_.rows * layout_.length;
  auto full = torch::zeros(shape, packed.options()).index_copy(0, layout_.padded_index, packed);
  shape[0] = layout_.length;
  shape.insert(shape.begin(), layout_.rows);
  return full.view(shape);
}

// softmax(capped(q k^T / sqrt(s)) + mask) v, s the head size where the config has no other, grouped: heads [g H/G,
// (g+1) H/G) read key-value head g.
torch::Tensor ForwardPass::attend(const torch::Tensor& query, const torch::Tensor& key, const torch::Tensor& value,
                                  const AttentionCache* cache, const torch::Tensor& mask) const {
  const auto& config = model_.config;
  const std::int64_t rows = layout_.rows, length = layout_.length, heads = config.heads, groups = config.kv_heads,
                     width = config.head_dim, seen = layout_.past + length;
  const auto with_past = [&](const torch::Tensor& here, const torch::Tensor& past) {
    const auto all = cache ? at::cat({past, padded(here)}, 1) : padded(here);  // [rows, seen, G, e]
    return all.permute({0, 2, 1, 3}).reshape({rows * groups, seen, width});
  };
  const auto keys = with_past(key, cache ? cache->keys : key);
  const auto values = with_past(value, cache ? cache->values : value);
  const auto queries = padded(query).permute({0, 2, 1, 3}).reshape({rows * groups, heads / groups * length, width});
  auto scores = at::bmm(queries, keys.transpose(1, 2)).view({rows, heads, length, seen});
  scores = scores.to(mask.scalar_type()) / std::sqrt(config.query_scalar());
  scores = capped(scores, config.attention_cap) + mask;
  const auto weights = at::softmax(scores, -1).to(query.scalar_type());
  const auto mixed = at::bmm(weights.view({rows * groups, heads / groups * length, seen}), values);
  return mixed.view({rows, heads, length, width})
      .permute({0, 2, 1, 3})
      .reshape({rows * length, heads * width})
      .index_select(0, layout_.padded_index);
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
  const Rotation& rotation = config.window_of(layer) > 0 ? local_rotation_ : rotation_;
  if (rotation.cosine.defined()) {
    query = rotate(query, config.traits().rotary_pairs, rotation);
    key = rotate(key, config.traits().rotary_pairs, rotation);
  }
  const auto after = [&](const Norm& post_norm, const torch::Tensor& output) {
    return post_norm.weight.defined() ? normalize(post_norm, config, output) : output;
  };
  const auto attention = linear(block.attention_output, attend(query, key, value, cache, mask_of(layer)));
  const auto attended = hidden + after(block.attention_post_norm, attention);
  const bool parallel = config.traits().parallel_block;
  const auto mlp_key =
      mlp_key_of(config, linear(block.up, parallel ? normed : normalize(block.mlp_norm, config, attended)));
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

torch::Tensor next_token_log_probabilities(const Transformer& model, const torch::Tensor& hidden) {
  const auto logits =
      linear({.weight = model.head, .bias = model.head_bias}, normalize(model.final_norm, model.config, hidden));
  return at::log_softmax(capped(logits.to(accurate(logits.scalar_type())), model.config.head_cap), -1);
}

}  // namespace anchorage::worker
