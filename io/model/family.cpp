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
constexpr auto llama_qkv =
    std::to_array<std::string_view>({"self_attn.q_proj", "self_attn.k_proj", "self_attn.v_proj"});
constexpr auto llama_up = std::to_array<std::string_view>({"mlp.gate_proj", "mlp.up_proj"});
constexpr auto phi3_qkv = std::to_array<std::string_view>({"self_attn.qkv_proj"});
constexpr auto phi3_up = std::to_array<std::string_view>({"mlp.gate_up_proj"});
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
                                .default_bos_id = 1,
                                .default_eos_id = 2};

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

constexpr FamilyTraits llama{.family = Family::llama,
                             .model_type = "llama",
                             .keys = llama_keys,
                             .names = llama_names,
                             .norm = NormKind::rms_norm,
                             .positions = PositionKind::rotary,
                             .biases = {.qkv = false, .attention_output = false, .mlp = false},
                             .windows = {},
                             .gated_mlp = true,
                             .transposed_weights = false};

constexpr WindowTraits qwen_windows{
    .rule = WindowRule::upper_layers, .default_window = 4096, .global_every = 0, .layer_types_decide = true};

constexpr FamilyTraits qwen2 = [] {
  FamilyTraits traits = llama;
  traits.family = Family::qwen2;
  traits.model_type = "qwen2";
  traits.keys.attention_bias = traits.keys.mlp_bias = "";
  traits.keys.default_kv_heads = 32;
  traits.keys.default_bos_id = traits.keys.default_eos_id = std::nullopt;
  traits.biases.qkv = true;
  traits.windows = qwen_windows;
  return traits;
}();

constexpr FamilyTraits qwen3 = [] {
  FamilyTraits traits = llama;
  traits.family = Family::qwen3;
  traits.model_type = "qwen3";
  traits.keys.mlp_bias = "";
  traits.keys.default_kv_heads = 32;
  traits.keys.default_head_dim = 128;
  traits.keys.default_bos_id = traits.keys.default_eos_id = std::nullopt;
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
  traits.names.qkv = phi3_qkv;
  traits.names.up = phi3_up;
  traits.windows = {
      .rule = WindowRule::all_layers, .default_window = 0, .global_every = 0, .layer_types_decide = false};
  return traits;
}();

constexpr std::array table{gpt2, llama, qwen2, qwen3, mistral, phi3};

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

std::string final_norm_module(const FamilyTraits& traits) {
  return fmt::format("{}{}", traits.names.prefix, traits.names.final_norm);
}

std::string embedding_module(const FamilyTraits& traits) {
  return fmt::format("{}{}", traits.names.prefix, traits.names.embedding);
}

}  // namespace anchorage::io
