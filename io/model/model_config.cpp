#include "io/model/model_config.hpp"

#include <array>
#include <nlohmann/json.hpp>
#include <string_view>
#include <utility>

#include "io/error.hpp"
#include "io/files/mapped_file.hpp"
#include "io/model/config_fields.hpp"
#include "io/model/config_refusals.hpp"
#include "io/model/layer_windows.hpp"
#include "io/model/model_config_keys.hpp"
#include "io/text/strict_json.hpp"
#include "io/text/text_of.hpp"

namespace anchorage::io {
namespace {

using nlohmann::json;

Activation activation_of(const ConfigFields& fields, std::string_view name, const std::string& otherwise) {
  static constexpr std::array<std::pair<std::string_view, Activation>, 5> known = {{
      {"gelu_new", Activation::gelu_new},
      {"gelu_pytorch_tanh", Activation::gelu_new},
      {"gelu", Activation::gelu},
      {"silu", Activation::silu},
      {"swish", Activation::silu},
  }};
  const std::string text = fields.text_or(name, otherwise);
  for (const auto& [spelling, activation] : known) {
    if (text == spelling) return activation;
  }
  fields.refuse_unimplemented(fmt::format("'{}' to be gelu_new, gelu_pytorch_tanh, gelu, silu or swish", name),
                              fmt::format("'{}'", text));
}

std::optional<DType> dtype_of(const ConfigFields& fields) {
  const char* const name = fields.find("dtype") != nullptr ? "dtype" : "torch_dtype";
  const std::string text = fields.text_or(name, "");
  if (text.empty()) return std::nullopt;
  if (text == "float32") return DType::f32;
  if (text == "float16") return DType::f16;
  if (text == "bfloat16") return DType::bf16;
  fields.refuse_unimplemented(fmt::format("'{}' to be float32, float16 or bfloat16", name),
                              fmt::format("'{}'", text));
}

// Reads which share of a head is turned, where the family has such a key, in the rotary parameters too; as
// transformers does, rounded down.
void read_rotary_share(const ConfigFields& fields, ModelConfig& config) {
  const std::string_view name = config.traits().keys.rotary_share;
  if (name.empty()) return;
  if (fields.find(name) != nullptr) {
    const double share = fields.positive(name);
    if (share > 1) fields.refuse(fmt::format("'{}' of at most 1", name), fmt::format("{}", share));
    config.rotary_dim = static_cast<std::int64_t>(static_cast<double>(config.head_dim) * share);
  }
  for (const char* const inner : {"rope_parameters", "rope_scaling"}) {
    if (const json* const object = fields.find(inner))
      read_rotary_share(ConfigFields(*object, fmt::format("'{}' of {}", inner, fields.where())), config);
  }
}

// A number, `otherwise` where it is absent, 0 where it is null.
double number_or_none(const ConfigFields& fields, std::string_view name, double otherwise) {
  return fields.has(name) ? fields.positive_or(name, 0) : otherwise;
}

std::int64_t size_or_required(const ConfigFields& fields, std::string_view name, std::int64_t otherwise) {
  return otherwise > 0 ? fields.size_or(name, otherwise) : fields.size(name);
}

// Reads sizes and options under the family's names.
void read_family(const ConfigFields& fields, const FamilyTraits& traits, ModelConfig& config) {
  const ConfigKeys& keys = traits.keys;
  config.family = traits.family;
  config.layers = fields.size(keys.layers);
  config.d_model = fields.size(keys.d_model);
  config.d_ff = keys.d_ff_per_d_model == 0 ? fields.size(keys.d_ff)
                                           : fields.size_or(keys.d_ff, keys.d_ff_per_d_model * config.d_model);
  config.heads = size_or_required(fields, keys.heads, keys.default_heads);
  const bool default_kv_heads = keys.default_kv_heads > 0 && !fields.has(keys.kv_heads);
  config.kv_heads = default_kv_heads ? keys.default_kv_heads : fields.size_or(keys.kv_heads, config.heads);
  const bool default_head_dim = keys.default_head_dim > 0 && !fields.has(keys.head_dim);
  config.head_dim =
      default_head_dim ? keys.default_head_dim : fields.size_or(keys.head_dim, config.d_model / config.heads);
  config.max_positions = size_or_required(fields, keys.max_positions, keys.default_max_positions);
  config.norm_epsilon = fields.positive_or(keys.norm_epsilon, keys.default_norm_epsilon);
  config.activation = activation_of(fields, keys.activation, std::string(keys.default_activation));
  config.tied_head = fields.flag_or("tie_word_embeddings", keys.tied_head_by_default);
  config.qkv_bias = fields.flag_or(keys.attention_bias, traits.biases.qkv);
  config.attention_output_bias = fields.flag_or(keys.attention_bias, traits.biases.attention_output);
  config.mlp_bias = fields.flag_or(keys.mlp_bias, traits.biases.mlp);
  config.windows = read_windows(fields, traits, config.layers);
  config.attention_scale = fields.positive_or(keys.query_scalar, keys.default_query_scalar);
  config.attention_cap = number_or_none(fields, keys.attention_cap, keys.default_attention_cap);
  config.head_cap = number_or_none(fields, keys.head_cap, keys.default_head_cap);
  if (traits.positions != PositionKind::rotary) return;
  const std::int64_t rotary_dim = keys.default_rotary_dim == 0 ? config.head_dim : keys.default_rotary_dim;
  config.rotary_dim = fields.size_or(keys.rotary_dim, rotary_dim);
  read_rotary_share(fields, config);
  RopeParameters rope = read_rope(fields, traits, config.max_positions, config.rotary_dim);
  config.rope_theta = rope.theta;
  config.rope_scaling = std::move(rope.scaling);
  config.local_rope_theta = rope.local_theta;
}

void check_sizes(const ConfigFields& fields, const ModelConfig& config) {
  const ConfigKeys& keys = config.traits().keys;
  const bool own_head_dim = fields.find(keys.head_dim) != nullptr || keys.default_head_dim > 0;
  if (!own_head_dim && config.d_model % config.heads != 0) {
    fields.refuse(fmt::format("a width that the {} heads divide", config.heads), fmt::format("{}", config.d_model));
  }
  if (config.heads % config.kv_heads != 0) {
    fields.refuse(fmt::format("a number of heads that the {} key-value heads divide", config.kv_heads),
                  fmt::format("{}", config.heads));
  }
  if (config.traits().positions != PositionKind::rotary) return;
  if (config.rotary_dim > config.head_dim) {
    fields.refuse(fmt::format("rotary positions that turn at most the {} entries of a head", config.head_dim),
                  fmt::format("{}", config.rotary_dim));
  }
  if (config.rotary_dim < 2 || config.rotary_dim % 2 != 0) {
    const bool whole = config.rotary_dim == config.head_dim;
    fields.refuse(
        fmt::format("an even {}, for rotary positions turn pairs", whole ? "head size" : "part of a head"),
        fmt::format("{}", config.rotary_dim));
  }
}

void read_tokens(const ConfigFields& fields, ModelConfig& config) {
  const ConfigKeys& keys = config.traits().keys;
  config.vocabulary = size_or_required(fields, "vocab_size", keys.default_vocabulary);
  const auto listed = [](std::optional<std::int64_t> id) {
    return id ? std::vector{*id} : std::vector<std::int64_t>{};
  };
  const std::vector<std::int64_t> bos = fields.ids_or("bos_token_id", listed(keys.default_bos_id));
  if (bos.size() > 1) fields.refuse("one 'bos_token_id'", fmt::format("{}", bos.size()));
  if (!bos.empty()) config.bos_id = bos.front();
  config.eos_ids = fields.ids_or("eos_token_id", listed(keys.default_eos_id));
}

ModelConfig parse_text_config(const ConfigFields& fields, const FamilyTraits& traits, const json& config) {
  ModelConfig parsed;
  refuse_unimplemented_options(fields, traits);
  read_family(fields, traits, parsed);
  read_tokens(fields, parsed);
  parsed.dtype = dtype_of(fields);
  check_sizes(fields, parsed);
  parsed.unknown_keys = unknown_keys(config, traits);
  return parsed;
}

// The text model of one that also reads images, say. What the outer file says of its ids and its dtype wins.
ModelConfig parse_nested_config(const json& config, const FamilyTraits& traits, const std::string& where) {
  const ConfigFields outer(config, where);
  refuse_unimplemented_options(outer, traits);
  const json* const inner = outer.find(traits.text_config);
  if (inner == nullptr) outer.refuse(fmt::format("the field '{}'", traits.text_config), "none");
  if (!inner->is_object())
    outer.refuse(fmt::format("'{}' to be an object", traits.text_config), inner->type_name());
  json joined = *inner;
  for (const char* const name : {"eos_token_id", "bos_token_id", "dtype", "torch_dtype", "tie_word_embeddings"}) {
    if (outer.has(name)) joined[name] = config.at(name);
  }
  return parse_text_config(ConfigFields(joined, fmt::format("'{}' of {}", traits.text_config, where)), traits,
                           joined);
}

}  // namespace

ModelConfig parse_model_config(const json& config, const std::string& where) {
  const ConfigFields fields(config, where);
  const std::string type = fields.text_or("model_type", "none");
  const FamilyTraits* traits = family_named(type);
  if (traits == nullptr) refuse_model_type(fields, type);
  if (!traits->text_config.empty()) return parse_nested_config(config, *traits, where);
  return parse_text_config(fields, *traits, config);
}

ModelConfig read_model_config(const std::filesystem::path& path) {
  const MappedFile file(path);
  return parse_model_config(parse_strict_json(text_of(file.bytes()), path.string()), path.string());
}

}  // namespace anchorage::io
