// The model families: one row of traits each. All code that reads, runs, costs or describes a model asks the
// traits, so a family whose block differs only in traits is one more row (CONTRIBUTING.md says what else it
// takes).
#pragma once

#include <cstdint>
#include <optional>
#include <span>
#include <string>
#include <string_view>

namespace anchorage::io {

enum class Family { gpt2, llama, qwen2, qwen3, mistral, phi3, gptj, gemma2, gemma3_text, gemma3 };

// LayerNorm has a weight and a bias; RMSNorm, x / sqrt(mean(x^2) + epsilon) * weight, has only a weight, and one
// kind of it multiplies by 1 + weight.
enum class NormKind { layer_norm, rms_norm, rms_norm_plus_one };

// Learned: an embedding of each position is added to the tokens'. Rotary: queries and keys are rotated by the
// angle of their position (arXiv 2104.09864).
enum class PositionKind { learned, rotary };

// Which entries of a head rotary positions turn together, of the r first that they turn: (x_i, x_{i + r/2}), or
// (x_2i, x_{2i + 1}).
enum class RotaryPairs { halves, neighbors };

// Which layers see only the nearest positions, `sliding_window` of them.
enum class WindowRule {
  none,            // no layer
  all_layers,      // every layer, where 'sliding_window' is not null
  upper_layers,    // those from 'max_window_layers' on, where 'use_sliding_window' is on
  between_global,  // all but each n-th: 'sliding_window_pattern'
};

struct WindowTraits {
  WindowRule rule = WindowRule::none;
  std::int64_t default_window = 0;  // where 'sliding_window' is absent; 0: no window
  std::int64_t global_every = 0;    // n, where 'sliding_window_pattern' is absent
  bool layer_types_decide = false;  // 'layer_types' wins over the rule, instead of having to agree with it
};

// Which linear layers have a bias, where no key of config.json says it.
struct Biases {
  bool qkv, attention_output, mlp;
};

// The keys of config.json that give a family's sizes and options; an empty name means that the family has no
// such key.
struct ConfigKeys {
  std::string_view layers, d_model, d_ff, heads;
  std::string_view kv_heads;  // where null: as many as heads
  std::string_view head_dim;  // where absent: d_model / heads
  std::string_view max_positions;
  std::string_view norm_epsilon, activation;
  std::string_view attention_bias, mlp_bias;  // of qkv and attention output; of the MLP
  std::string_view rotary_dim = {};           // how many entries of a head the positions turn, of its first ones
  std::string_view rotary_share = {};         // the same as a share of the head; may stand in the rotary parameters
  bool has_rotary_parameters = true;  // rope_theta, rope_scaling, rope_parameters; otherwise theta is the default
  std::string_view local_rope_theta = {};  // of layers with a window; where empty, the same as of all layers
  std::string_view query_scalar = {};      // attention's scores are divided by its root; where empty: the head size
  std::string_view attention_cap = {}, head_cap = {};  // soft caps of scores and of the head's logits; null: none

  // The defaults of transformers where a key is absent.
  std::int64_t d_ff_per_d_model;      // 0: the key is required
  std::int64_t default_kv_heads = 0;  // 0: as many as heads
  std::int64_t default_head_dim = 0;  // 0: d_model / heads
  // Of 'original_max_position_embeddings', over the one inside; 0: none.
  std::int64_t default_original_positions = 0;
  double default_norm_epsilon;
  std::string_view default_activation;
  bool tied_head_by_default;
  std::optional<std::int64_t> default_bos_id, default_eos_id;
  std::int64_t default_rotary_dim = 0;  // 0: the whole head
  double default_rope_theta = 10000.0, default_local_rope_theta = 10000.0;
  double default_query_scalar = 0;
  double default_attention_cap = 0, default_head_cap = 0;                             // 0: none
  std::int64_t default_heads = 0, default_vocabulary = 0, default_max_positions = 0;  // 0: the key is required
};

// The names of a checkpoint's tensors, without ".weight" and ".bias".
struct TensorNames {
  std::string_view prefix;                // of all but the head's; absent in a checkpoint saved without a head
  std::string_view embedding;             //
  std::string_view position_embedding;    // empty: no such tensor
  std::string_view final_norm;            //
  std::string_view block;                 // prefix of a block's names, "{}" for its number: "layers.{}."
  std::string_view attention_norm;        //
  std::span<const std::string_view> qkv;  // stacked, one tensor or three: the rows of q, then k, then v
  std::string_view query_norm;            // norms of each head's query and key, before rotation; empty: none
  std::string_view key_norm;              //
  std::string_view attention_output;      //
  std::string_view mlp_norm;              // empty: the MLP reads what attention reads
  std::string_view attention_post_norm = {},
                   mlp_post_norm = {};           // of what is added to the residual stream; or none
  std::span<const std::string_view> up;          // gated MLP, one tensor or two: the gate, then the up projection
  std::string_view down;                         // the matrix that is edited
  std::span<const std::string_view> recomputed;  // endings of buffers that older versions of transformers saved
  std::span<const std::string_view> other_models = {};  // prefixes of what is beside the text model: vision
  // The prefix of transformers' modules where it is another than the one that transformers saves; some tools save
  // tensors by the names of their modules, and adapters name modules.
  std::string_view module_prefix = {};
};

struct FamilyTraits {
  Family family;
  std::string_view model_type;  // in config.json
  ConfigKeys keys;
  TensorNames names;
  NormKind norm;
  PositionKind positions;
  Biases biases;
  WindowTraits windows;
  bool gated_mlp;           // activation(gate) * up instead of activation(up)
  bool transposed_weights;  // the checkpoint stores linear weights as [in, out] (GPT-2's Conv1D)
  RotaryPairs rotary_pairs = RotaryPairs::halves;
  bool parallel_block = false;  // attention and MLP read the same norm, and both are added to the residual stream
  bool head_bias = false;
  std::string_view text_config = {};  // the field of config.json that has the text model's, where it is nested
  bool scaled_embedding = false;      // tokens' embeddings are multiplied by sqrt(d_model)

  bool has_post_norms() const { return !names.mlp_post_norm.empty(); }
};

std::span<const FamilyTraits> families();
const FamilyTraits& traits_of(Family family);
const FamilyTraits* family_named(std::string_view model_type);  // null where there is none
std::string family_names();                                     // "gpt2, llama or qwen2"

// The modules of transformers that hyper-parameters name (EasyEdit's keys), "{}" for the layer's number.
std::string layer_module(const FamilyTraits& traits);       // "model.layers.{}"
std::string mlp_module(const FamilyTraits& traits);         // "model.layers.{}.mlp"
std::string attention_module(const FamilyTraits& traits);   // "model.layers.{}.self_attn"
std::string edited_module(const FamilyTraits& traits);      // "model.layers.{}.mlp.down_proj"
std::string final_norm_module(const FamilyTraits& traits);  // "model.norm"
std::string embedding_module(const FamilyTraits& traits);   // "model.embed_tokens"

// The edited module as adapters name it: where the model has vision,
// "model.language_model.layers.{}.mlp.down_proj".
std::string adapted_module(const FamilyTraits& traits);

}  // namespace anchorage::io
