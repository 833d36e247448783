#include "worker/model/forward.hpp"

#include <algorithm>
#include <cmath>

#include "io/error.hpp"

namespace anchorage::worker {
namespace {

constexpr std::string_view hand_over = "hand over residual stream";

torch::Tensor linear(const Linear& layer, const torch::Tensor& input) {
  return layer.bias.defined() ? at::linear(input, layer.weight, layer.bias) : at::linear(input, layer.weight);
}

// Returns at least f32, for values that must not be rounded to 8 bits on the way.
torch::ScalarType accurate(torch::ScalarType dtype) {
  return dtype == torch::kDouble ? torch::kDouble : torch::kFloat;
}

torch::Tensor normalize(const Norm& norm, const io::ModelConfig& config, const torch::Tensor& input) {
  const double epsilon = config.norm_epsilon;
  if (config.traits().norm == io::NormKind::layer_norm)
    return at::layer_norm(input, {input.size(-1)}, norm.weight, norm.bias, epsilon);
  const auto wide = input.to(accurate(input.scalar_type()));
  const auto scale = at::rsqrt(wide.square().mean(-1, true) + epsilon);
  return (wide * scale).to(input.scalar_type()) * norm.weight;
}

// Rotates pairs (x_i, x_{i + e/2}) by the position's angles (RoPE, arXiv 2104.09864, in the half-split
// order).
torch::Tensor rotate(const torch::Tensor& heads, const torch::Tensor& cosine, const torch::Tensor& sine) {
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
  if (model.config.traits().positions != io::PositionKind::rotary) return;
  const auto angle = layout_.positions.to(torch::kDouble).unsqueeze(1) * model.rotary_frequencies.unsqueeze(0);
  const auto both_halves = at::cat({angle, angle}, -1).unsqueeze(1);
  cosine_ = both_halves.cos().to(model.dtype());
  sine_ = both_halves.sin().to(model.dtype());
}

torch::Tensor ForwardPass::embed() const {
  if (!model_.stages.is_first()) return {};
  auto tokens = model_.token_embedding.index_select(0, layout_.ids);
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

// softmax(q k^T / sqrt(e) + mask) v, grouped: heads [g H/G, (g+1) H/G) read key-value head g.
torch::Tensor ForwardPass::attend(const torch::Tensor& query, const torch::Tensor& key, const torch::Tensor& value,
                                  const AttentionCache* cache) const {
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
  scores = scores.to(mask_.scalar_type()) / std::sqrt(static_cast<double>(width)) + mask_;
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
  if (!model_.holds(layer)) return {.hidden = hidden, .key = {}, .attention_keys = {}, .attention_values = {}};
  io::check(cache != nullptr || layout_.past == 0, "a suffix needs the cache of what stands before it");
  const auto& config = model_.config;
  const Block& block = model_.block(layer);
  const std::int64_t tokens = hidden.size(0), heads = config.heads, groups = config.kv_heads,
                     width = config.head_dim;

  const auto joined = linear(block.query_key_value, normalize(block.attention_norm, config, hidden))
                          .view({tokens, heads + 2 * groups, width});
  auto query = joined.narrow(1, 0, heads), key = joined.narrow(1, heads, groups);
  const auto value = joined.narrow(1, heads + groups, groups);
  if (cosine_.defined()) {
    query = rotate(query, cosine_, sine_);
    key = rotate(key, cosine_, sine_);
  }
  const auto attended = hidden + linear(block.attention_output, attend(query, key, value, cache));
  const auto up = linear(block.up, normalize(block.mlp_norm, config, attended));
  const auto mlp_key = mlp_key_of(config, up);
  return {.hidden = attended + linear(block.down, mlp_key),
          .key = mlp_key,
          .attention_keys = key,
          .attention_values = value};
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
  const auto logits = at::linear(normalize(model.final_norm, model.config, hidden), model.head);
  return at::log_softmax(logits.to(accurate(logits.scalar_type())), -1);
}

}  // namespace anchorage::worker
