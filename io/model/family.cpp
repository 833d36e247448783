#include "io/model/family.hpp"

#include <fmt/format.h>

#include <algorithm>
#include <array>
#include <vector>

#include "io/error.hpp"
#include "io/text/alternatives.hpp"

namespace anchorage::io {
namespace {

constexpr auto gpt2_qkv = std::to_array<std::string_view>({"attn.c_attn"});
constexpr auto gpt2_up = std::to_array<std::string_view>({"mlp.c_fc"});
constexpr auto gpt2_recomputed = std::to_array<std::string_view>({".attn.bias", ".attn.masked_bias"});
constexpr auto gptj_qkv = std::to_array<std::string_view>({"attn.q_proj", "attn.k_proj", "attn.v_proj"});
constexpr auto gptj_up = std::to_array<std::string_view>({"mlp.fc_in"});
constexpr auto llama_qkv =
    std::to_array<std::string_view>({"self_attn.q_proj", "self_attn.k_proj", "self_attn.v_proj"});
constexpr auto llama_up = std::to_array<std::string_view>({"mlp.gate_proj", "mlp.up_proj"});
constexpr auto phi3_qkv = std::to_array<std::string_view>({"self_attn.qkv_proj"});
constexpr auto phi3_up = std::to_array<std::string_view>({"mlp.gate_up_proj"});
constexpr auto gemma3_other_models = std::to_array<std::string_view>(
    {"vision_tower.", "multi_modal_projector.", "model.vision_tower.", "model.multi_modal_projector."});
constexpr auto llama_recomputed = std::to_array<std::string_view>({"rotary_emb.inv_freq"});

constexpr FamilyTraits gpt2{.family = Family::gpt2,
                            .model_type = "gpt2",
                            .keys = {.layers = "n_layer",
                                     .d_model = "n_embd",
                                     .d_ff = "n_inner",
                                     .heads = "n_head",
                                     .kv_heads = "",
                                     .head_dim = "",
                                     .max_positions = "n_positions",
                                     .norm_epsilon = "layer_norm_epsilon",
                                     .activation = "activation_function",
                                     .attention_bias = "",
                                     .mlp_bias = "",
                                     .d_ff_per_d_model = 4,
                                     .default_norm_epsilon = 1e-5,
                                     .default_activation = "gelu_new",
                                     .tied_head_by_default = true,
                                     .default_bos_id = 50256,
                                     .default_eos_id = 50256},
                            .names = {.prefix = "transformer.",
                                      .embedding = "wte",
                                      .position_embedding = "wpe",
                                      .final_norm = "ln_f",
                                      .block = "h.{}.",
                                      .attention_norm = "ln_1",
                                      .qkv = gpt2_qkv,
                                      .query_norm = "",
                                      .key_norm = "",
                                      .attention_output = "attn.c_proj",
                                      .mlp_norm = "ln_2",
                                      .up = gpt2_up,
                                      .down = "mlp.c_proj",
                                      .recomputed = gpt2_recomputed},
                            .norm = NormKind::layer_norm,
                            .positions = PositionKind::learned,
                            .biases = {.qkv = true, .attention_output = true, .mlp = true},
                            .windows = {},
                            .gated_mlp = false,
                            .transposed_weights = true};

// The keys and names that all families after LLaMA share.
constexpr ConfigKeys llama_keys{.layers = "num_hidden_layers",
                                .d_model = "hidden_size",
                                .d_ff = "intermediate_size",
                                .heads = "num_attention_heads",
                                .kv_heads = "num_key_value_heads",
                                .head_dim = "head_dim",
                                .max_positions = "max_position_embeddings",
                                .norm_epsilon = "rms_norm_eps",
                                .activation = "hidden_act",
                                .attention_bias = "attention_bias",
                                .mlp_bias = "mlp_bias",
                                .d_ff_per_d_model = 0,
                                .default_norm_epsilon = 1e-6,
                                .default_activation = "silu",
                                .tied_head_by_default = false,
                                .default_bos_id = std::nullopt,
                                .default_eos_id = std::nullopt};

constexpr TensorNames llama_names{.prefix = "model.",
                                  .embedding = "embed_tokens",
                                  .position_embedding = "",
                                  .final_norm = "norm",
                                  .block = "layers.{}.",
                                  .attention_norm = "input_layernorm",
                                  .qkv = llama_qkv,
                                  .query_norm = "",
                                  .key_norm = "",
                                  .attention_output = "self_attn.o_proj",
                                  .mlp_norm = "post_attention_layernorm",
                                  .up = llama_up,
                                  .down = "mlp.down_proj",
                                  .recomputed = llama_recomputed};

// LLaMA without the ids that it has where config.json names none.
constexpr FamilyTraits llama_like{.family = Family::llama,
                                  .model_type = "llama",
                                  .keys = llama_keys,
                                  .names = llama_names,
                                  .norm = NormKind::rms_norm,
                                  .positions = PositionKind::rotary,
                                  .biases = {.qkv = false, .attention_output = false, .mlp = false},
                                  .windows = {},
                                  .gated_mlp = true,
                                  .transposed_weights = false};

constexpr FamilyTraits llama = [] {
  FamilyTraits traits = llama_like;
  traits.keys.default_bos_id = 1;
  traits.keys.default_eos_id = 2;
  return traits;
}();

constexpr WindowTraits qwen_windows{
    .rule = WindowRule::upper_layers, .default_window = 4096, .global_every = 0, .layer_types_decide = true};

constexpr FamilyTraits qwen2 = [] {
  FamilyTraits traits = llama_like;
  traits.family = Family::qwen2;
  traits.model_type = "qwen2";
  traits.keys.attention_bias = traits.keys.mlp_bias = "";
  traits.keys.default_kv_heads = 32;
  traits.biases.qkv = true;
  traits.windows = qwen_windows;
  return traits;
}();

constexpr FamilyTraits qwen3 = [] {
  FamilyTraits traits = llama_like;
  traits.family = Family::qwen3;
  traits.model_type = "qwen3";
  traits.keys.mlp_bias = "";
  traits.keys.default_kv_heads = 32;
  traits.keys.default_head_dim = 128;
  traits.names.query_norm = "self_attn.q_norm";
  traits.names.key_norm = "self_attn.k_norm";
  traits.windows = qwen_windows;
  return traits;
}();

constexpr FamilyTraits mistral = [] {
  FamilyTraits traits = llama;
  traits.family = Family::mistral;
  traits.model_type = "mistral";
  traits.keys.attention_bias = traits.keys.mlp_bias = "";
  traits.keys.default_kv_heads = 8;
  traits.windows = {
      .rule = WindowRule::all_layers, .default_window = 4096, .global_every = 0, .layer_types_decide = false};
  return traits;
}();

// Phi-3 and Phi-4: LLaMA's block with q, k and v in one tensor, and gate and up in one.
constexpr FamilyTraits phi3 = [] {
  FamilyTraits traits = llama;
  traits.family = Family::phi3;
  traits.model_type = "phi3";
  traits.keys.attention_bias = traits.keys.mlp_bias = "";
  traits.keys.default_norm_epsilon = 1e-5;
  traits.keys.default_eos_id = 32000;
  traits.keys.default_original_positions = 4096;
  traits.keys.rotary_share = "partial_rotary_factor";  // Phi-4 mini
  traits.names.qkv = phi3_qkv;
  traits.names.up = phi3_up;
  traits.windows = {
      .rule = WindowRule::all_layers, .default_window = 0, .global_every = 0, .layer_types_decide = false};
  return traits;
}();

// GPT-2's names and keys, but for what attention and MLP are called.
constexpr FamilyTraits gptj = [] {
  FamilyTraits traits = gpt2;
  traits.family = Family::gptj;
  traits.model_type = "gptj";
  traits.keys.rotary_dim = "rotary_dim";
  traits.keys.default_rotary_dim = 64;
  traits.keys.has_rotary_parameters = false;
  traits.keys.tied_head_by_default = false;
  traits.names.position_embedding = "";
  traits.names.qkv = gptj_qkv;
  traits.names.attention_output = "attn.out_proj";
  traits.names.mlp_norm = "";
  traits.names.up = gptj_up;
  traits.names.down = "mlp.fc_out";
  traits.positions = PositionKind::rotary;
  traits.biases.qkv = traits.biases.attention_output = false;
  traits.transposed_weights = false;
  traits.rotary_pairs = RotaryPairs::neighbors;
  traits.parallel_block = true;
  traits.head_bias = true;
  return traits;
}();

// LLaMA's block with a norm before and after each part.
constexpr FamilyTraits gemma2 = [] {
  FamilyTraits traits = llama;
  traits.family = Family::gemma2;
  traits.model_type = "gemma2";
  traits.keys.mlp_bias = "";
  traits.keys.activation = "hidden_activation";
  traits.keys.default_activation = "gelu_pytorch_tanh";
  traits.keys.tied_head_by_default = true;
  traits.keys.default_bos_id = 2;
  traits.keys.default_eos_id = 1;
  traits.keys.default_heads = 8;
  traits.keys.default_kv_heads = 4;
  traits.keys.default_head_dim = 256;
  traits.keys.default_vocabulary = 256000;
  traits.keys.default_max_positions = 8192;
  traits.keys.query_scalar = "query_pre_attn_scalar";
  traits.keys.default_query_scalar = 256;
  traits.keys.attention_cap = "attn_logit_softcapping";
  traits.keys.default_attention_cap = 50;
  traits.keys.head_cap = "final_logit_softcapping";
  traits.keys.default_head_cap = 30;
  traits.names.attention_post_norm = "post_attention_layernorm";
  traits.names.mlp_norm = "pre_feedforward_layernorm";
  traits.names.mlp_post_norm = "post_feedforward_layernorm";
  traits.norm = NormKind::rms_norm_plus_one;
  traits.windows = {
      .rule = WindowRule::between_global, .default_window = 4096, .global_every = 2, .layer_types_decide = true};
  traits.scaled_embedding = true;
  return traits;
}();

constexpr FamilyTraits gemma3_text = [] {
  FamilyTraits traits = gemma2;
  traits.family = Family::gemma3_text;
  traits.model_type = "gemma3_text";
  traits.keys.default_vocabulary = 262208;
  traits.keys.default_max_positions = 131072;
  traits.keys.default_rope_theta = 1e6;
  traits.keys.local_rope_theta = "rope_local_base_freq";
  traits.keys.attention_cap = "";
  traits.keys.default_attention_cap = traits.keys.default_head_cap = 0;
  traits.names.query_norm = "self_attn.q_norm";
  traits.names.key_norm = "self_attn.k_norm";
  traits.windows.global_every = 6;
  return traits;
}();

// The text model of Gemma 3 with vision.
constexpr FamilyTraits gemma3 = [] {
  FamilyTraits traits = gemma3_text;
  traits.family = Family::gemma3;
  traits.model_type = "gemma3";
  traits.text_config = "text_config";
  traits.names.prefix = "language_model.model.";
  traits.names.module_prefix = "model.language_model.";
  traits.names.other_models = gemma3_other_models;
  return traits;
}();

constexpr std::array table{gpt2, llama, qwen2, qwen3, mistral, phi3, gptj, gemma2, gemma3_text, gemma3};

std::string in_block(const FamilyTraits& traits, std::string_view name) {
  return fmt::format("{}{}{}", traits.names.prefix, traits.names.block, name);
}

// "mlp.down_proj" -> "mlp"
std::string_view parent_of(std::string_view name) {
  return name.substr(0, name.rfind('.'));
}

}  // namespace

std::span<const FamilyTraits> families() {
  return table;
}

const FamilyTraits& traits_of(Family family) {
  const auto* found = std::ranges::find(table, family, &FamilyTraits::family);
  check(found != table.end(), "a family without traits");
  return *found;
}

const FamilyTraits* family_named(std::string_view model_type) {
  const auto* found = std::ranges::find(table, model_type, &FamilyTraits::model_type);
  return found == table.end() ? nullptr : found;
}

std::string family_names() {
  std::vector<std::string_view> names;
  for (const FamilyTraits& traits : table) names.push_back(traits.model_type);
  return alternatives(names);
}

std::string layer_module(const FamilyTraits& traits) {
  const std::string block = in_block(traits, "");
  return block.substr(0, block.size() - 1);  // without the last dot
}

std::string mlp_module(const FamilyTraits& traits) {
  return in_block(traits, parent_of(traits.names.down));
}

std::string attention_module(const FamilyTraits& traits) {
  return in_block(traits, parent_of(traits.names.attention_output));
}

std::string edited_module(const FamilyTraits& traits) {
  return in_block(traits, traits.names.down);
}

std::string adapted_module(const FamilyTraits& traits) {
  const TensorNames& names = traits.names;
  const std::string_view prefix = names.module_prefix.empty() ? names.prefix : names.module_prefix;
  return fmt::format("{}{}{}", prefix, names.block, names.down);
}

std::string final_norm_module(const FamilyTraits& traits) {
  return fmt::format("{}{}", traits.names.prefix, traits.names.final_norm);
}

std::string embedding_module(const FamilyTraits& traits) {
  return fmt::format("{}{}", traits.names.prefix, traits.names.embedding);
}

}  // namespace anchorage::io
