#include "coordinator/workload.hpp"

#include <algorithm>

#include "sharding/edit_groups.hpp"

namespace anchorage::coordinator {
namespace {

// Typical lengths in tokens. CounterFact has prompts of 7.9, targets of 1.1 and 2.1 from the subject's last
// token to the prompt's end; the demo's facts 8.3, 3.7 and 2.3 (means, SmolLM2's tokenizer).
constexpr std::int64_t prompt_tokens = 8;
constexpr std::int64_t target_tokens = 3;
constexpr std::int64_t subject_end = 7;                          // tokens up to the subject's last one
constexpr std::int64_t kl_prompt_tokens = 6, kl_prompt_end = 4;  // of "{subject} is a"
// The last target token predicts nothing and is not computed.
constexpr std::int64_t row_tokens = prompt_tokens + target_tokens - 1;
constexpr std::int64_t longest_row_tokens = 16;

// Counts weight and bias, or only a weight.
std::int64_t norm_parameters(const io::ModelConfig& model) {
  return (model.traits().norm == io::NormKind::layer_norm ? 2 : 1) * model.d_model;
}

}  // namespace

std::int64_t Workload::step_layers(const sharding::StageLayers& layers) const {
  return hparams.layers.empty() ? 0 : layers.size() - layers.below(hparams.layers.front() + 1);
}

std::int64_t Workload::edited_in(const sharding::StageLayers& layers) const {
  return std::ranges::count_if(hparams.layers, [&](int layer) { return layers.contains(layer); });
}

std::int64_t block_norms(const io::ModelConfig& model) {
  return (model.traits().parallel_block ? 1 : 2) + (model.traits().has_post_norms() ? 2 : 0);
}

std::int64_t layer_parameters(const io::ModelConfig& model) {
  const std::int64_t d = model.d_model, f = model.d_ff, queries = model.heads * model.head_dim,
                     joined = queries + 2 * model.kv_heads * model.head_dim;
  const std::int64_t up = model.traits().gated_mlp ? 2 * f : f;
  const io::TensorNames& names = model.traits().names;
  const std::int64_t head_norms =
      (names.query_norm.empty() ? 0 : model.head_dim) + (names.key_norm.empty() ? 0 : model.head_dim);
  const std::int64_t attention =
      joined * d + d * queries + (model.qkv_bias ? joined : 0) + (model.attention_output_bias ? d : 0) + head_norms;
  const std::int64_t mlp = up * d + d * f + (model.mlp_bias ? up + d : 0);
  return attention + mlp + block_norms(model) * norm_parameters(model);
}

bool has_head(const io::ModelConfig& model, const sharding::StageLayers& layers) {
  return layers.contains(model.layers - 1);
}

std::int64_t weight_bytes_of(const Workload& workload, const sharding::StageLayers& layers) {
  const io::ModelConfig& model = workload.model;
  const bool rotary = model.traits().positions == io::PositionKind::rotary;
  const std::int64_t embedding = model.vocabulary * model.d_model;
  std::int64_t parameters = layers.size() * layer_parameters(model);
  if (layers.contains(0)) parameters += embedding + (rotary ? 0 : model.max_positions * model.d_model);
  if (has_head(model, layers)) {
    parameters += norm_parameters(model) + (model.traits().head_bias ? model.vocabulary : 0);
    if (!(model.tied_head && layers.contains(0))) parameters += embedding;
  }
  const bool long_texts_too = !model.rope_scaling.long_factors.empty();
  const std::int64_t sets = (long_texts_too ? 2 : 1) + (model.local_rope_theta > 0 ? 1 : 0);
  const std::int64_t frequencies = rotary ? sets * (model.rotary_dim / 2) * 8 : 0;
  return parameters * workload.weight_bytes + frequencies;
}

GroupTokens group_tokens(const Workload& workload, const Machine& machine) {
  const io::Hparams& hparams = workload.hparams;
  const sharding::StepArithmetic step{
      .on_gpu = machine.is_gpu, .width = workload.model.d_model, .weight_bytes = workload.weight_bytes};
  const std::int64_t edits =
      std::min(sharding::edits_per_group(hparams.group, hparams.contexts, step), workload.batch);
  // The first context is the bare prompt; one spare is tried.
  const std::int64_t contexts = hparams.contexts, prefixes = (contexts - 1) * hparams.context_length,
                     rows = edits * (contexts + 1);
  return {.edits = edits,
          .rows = rows,
          .steps = edits * (contexts * (row_tokens - subject_end + 1) + kl_prompt_tokens - kl_prompt_end + 1),
          .predicted = edits * (contexts * target_tokens + 1),
          .whole = edits * (contexts * row_tokens + prefixes + kl_prompt_tokens),
          .prefix = edits * (contexts * subject_end + prefixes),
          .candidates = edits * ((contexts + 1) * subject_end + prefixes + hparams.context_length + kl_prompt_end),
          .bare = edits * row_tokens,
          .targets = edits * target_tokens,
          .longest_whole = rows * (longest_row_tokens + hparams.context_length),
          .longest_steps = rows * sharding::typical_suffix_tokens};
}

}  // namespace anchorage::coordinator
