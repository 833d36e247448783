#include "io/model/model_config_keys.hpp"

#include <fmt/format.h>

#include <algorithm>
#include <array>
#include <nlohmann/json.hpp>

#include "io/model/config_refusals.hpp"
#include "io/model/layer_windows.hpp"

namespace anchorage::io {
namespace {

// --- Used (model_config.cpp)

constexpr auto used = std::to_array<std::string_view>(
    {"model_type", "vocab_size", "bos_token_id", "eos_token_id", "dtype", "torch_dtype", "tie_word_embeddings"});
constexpr auto used_by_rotary = std::to_array<std::string_view>(
    {"rope_theta", "rope_scaling", "rope_parameters", "original_max_position_embeddings"});
constexpr auto used_of_rope = std::to_array<std::string_view>(
    {"type", "rope_type", "rope_theta", "factor", "low_freq_factor", "high_freq_factor",
     "original_max_position_embeddings", "attention_factor", "beta_fast", "beta_slow", "truncate", "full_attention",
     "sliding_attention", "mscale", "mscale_all_dim", "short_factor", "long_factor"});

// --- Without effect

// One list for all families: old files of one family have keys that only another has today.
constexpr auto without_effect = std::to_array<std::string_view>({
    // Only the order of sums, or the kernel that computes them.
    "pretraining_tp",
    "reorder_and_upcast_attn",
    "chunk_size_feed_forward",
    "attn_implementation",
    "_attn_implementation",
    "_attn_implementation_autoset",
    "_attn_implementation_internal",
    "_flash_attn_2_enabled",
    "_experts_implementation",
    // Defaults for programs that generate text; here the command gives them.
    "use_cache",
    "output_past",
    "max_length",
    "min_length",
    "do_sample",
    "early_stopping",
    "num_beams",
    "num_beam_groups",
    "diversity_penalty",
    "temperature",
    "top_k",
    "top_p",
    "typical_p",
    "repetition_penalty",
    "length_penalty",
    "no_repeat_ngram_size",
    "encoder_no_repeat_ngram_size",
    "bad_words_ids",
    "num_return_sequences",
    "output_scores",
    "return_dict_in_generate",
    "forced_bos_token_id",
    "forced_eos_token_id",
    "remove_invalid_values",
    "exponential_decay_length_penalty",
    "suppress_tokens",
    "begin_suppress_tokens",
    "prefix",
    "task_specific_params",
    // How the model was trained, or would be trained further.
    "attn_pdrop",
    "embd_pdrop",
    "resid_pdrop",
    "attention_dropout",
    "initializer_range",
    "gradient_checkpointing",
    // Names that Gemma 2 has for what other keys say.
    "hidden_act",
    "cache_implementation",
    "sliding_window_size",
    "_sliding_window_pattern",
    // Tokens that the model treats like any other; tokenizer.json determines which ones a text has.
    "pad_token_id",
    "unk_token_id",
    "sep_token_id",
    "decoder_start_token_id",
    "tokenizer_class",
    // Heads other than the one that predicts the next token.
    "summary_type",
    "summary_use_proj",
    "summary_activation",
    "summary_proj_to_labels",
    "summary_first_dropout",
    "num_labels",
    "id2label",
    "label2id",
    "problem_type",
    "finetuning_task",
    "classifier_dropout",
    "n_special",
    "predict_special_tokens",
    // Where the file comes from.
    "architectures",
    "transformers_version",
    "_name_or_path",
    "name_or_path",
    "_model_name_or_path",
    "_commit_hash",
    "auto_map",
    "is_llama_config",
    "transformers.js_config",
    "unsloth_fixed",
    "unsloth_version",
    // In which form functions of transformers return.
    "return_dict",
    "output_hidden_states",
    "output_attentions",
    "torchscript",
    "use_bfloat16",
    "tf_legacy_loss",
    // Older names for the number of positions, which another key gives.
    "n_ctx",
    "max_sequence_length",
    // Models with an encoder, and windows of a family that has none: both are refused where they are used.
    "is_decoder",
    "tie_encoder_decoder",
    "cross_attention_hidden_size",
    "max_window_layers",
});

bool is_refused(std::string_view key) {
  return std::ranges::find(refused_keys(), key, &RefusedKey::name) != refused_keys().end();
}

bool is_known(std::string_view key, const FamilyTraits& traits) {
  return is_used_key(key, traits) || is_refused(key) ||
         std::ranges::find(without_effect, key) != without_effect.end();
}

}  // namespace

bool is_used_key(std::string_view key, const FamilyTraits& traits) {
  const ConfigKeys& keys = traits.keys;
  const auto own = {keys.layers,       keys.d_model,          keys.d_ff,          keys.heads,
                    keys.kv_heads,     keys.head_dim,         keys.max_positions, keys.norm_epsilon,
                    keys.activation,   keys.attention_bias,   keys.mlp_bias,      keys.rotary_dim,
                    keys.rotary_share, keys.local_rope_theta, keys.query_scalar,  keys.attention_cap,
                    keys.head_cap};
  const bool rotary = keys.has_rotary_parameters && traits.positions == PositionKind::rotary;
  return std::ranges::find(used, key) != used.end() || std::ranges::find(own, key) != own.end() ||
         is_window_key(key, traits) || (rotary && std::ranges::find(used_by_rotary, key) != used_by_rotary.end());
}

std::vector<std::string> unknown_keys(const nlohmann::json& config, const FamilyTraits& traits) {
  std::vector<std::string> unknown;
  for (const auto& [key, value] : config.items()) {
    if (!is_known(key, traits)) unknown.push_back(key);
    const bool is_rope =
        traits.positions == PositionKind::rotary && (key == "rope_scaling" || key == "rope_parameters");
    if (!is_rope || !value.is_object()) continue;
    for (const auto& [inner, unused] : value.items()) {
      const bool known = std::ranges::find(used_of_rope, inner) != used_of_rope.end() || is_refused(inner);
      if (!known) unknown.push_back(fmt::format("{}.{}", key, inner));
    }
  }
  return unknown;
}

}  // namespace anchorage::io
