#include "io/model/model_config.hpp"

#include <algorithm>
#include <array>
#include <cmath>
#include <limits>
#include <nlohmann/json.hpp>
#include <string_view>
#include <utility>

#include "io/error.hpp"
#include "io/files/mapped_file.hpp"
#include "io/model/model_config_keys.hpp"
#include "io/text/strict_json.hpp"
#include "io/text/text_of.hpp"

namespace anchorage::io {
namespace {

using nlohmann::json;

// One JSON object whose fields are read by name. A null field counts as absent, as in transformers, and so
// does an empty name.
class Fields {
 public:
  Fields(const json& object, std::string where) : object_(object), where_(std::move(where)) {
    if (!object_.is_object()) refuse("a JSON object", object_.type_name());
  }

  const json* find(std::string_view name) const {
    const auto field = object_.find(std::string(name));
    return field == object_.end() || field->is_null() ? nullptr : &*field;
  }

  std::int64_t size(std::string_view name) const {
    const json* const field = find(name);
    if (field == nullptr) refuse(fmt::format("the field '{}'", name), "none");
    return size_from(name, *field);
  }
  std::int64_t size_or(std::string_view name, std::int64_t otherwise) const {
    const json* const field = find(name);
    return field == nullptr ? otherwise : size_from(name, *field);
  }

  double positive(std::string_view name) const {
    const json* const field = find(name);
    if (field == nullptr) refuse(fmt::format("the field '{}'", name), "none");
    return positive_from(name, *field);
  }
  double positive_or(std::string_view name, double otherwise) const {
    const json* const field = find(name);
    return field == nullptr ? otherwise : positive_from(name, *field);
  }

  bool flag_or(std::string_view name, bool otherwise) const {
    const json* const field = find(name);
    if (field == nullptr) return otherwise;
    if (!field->is_boolean()) refuse(fmt::format("'{}' to be true or false", name), shown(*field));
    return field->get<bool>();
  }

  std::string text_or(std::string_view name, const std::string& otherwise) const {
    const json* const field = find(name);
    if (field == nullptr) return otherwise;
    if (!field->is_string()) refuse(fmt::format("'{}' to be a string", name), shown(*field));
    return field->get<std::string>();
  }

  // Reads token ids: a number, a list of numbers, or null for none; `otherwise` where the field is absent.
  std::vector<std::int64_t> ids_or(std::string_view name, std::int64_t otherwise) const {
    if (!object_.contains(std::string(name))) return {otherwise};
    const json* const field = find(name);
    if (field == nullptr) return {};
    std::vector<std::int64_t> ids;
    for (const json& id : field->is_array() ? *field : json::array({*field})) {
      if (!id.is_number_integer())
        refuse(fmt::format("'{}' to be a token id or a list of them", name), shown(*field));
      ids.push_back(id.get<std::int64_t>());
    }
    return ids;
  }

  [[noreturn]] void refuse(std::string expected, std::string found, std::string remedy = "fix the file") const {
    throw UserError(
        {.expected = std::move(expected), .found = std::move(found), .where = where_, .remedy = std::move(remedy)});
  }
  [[noreturn]] void refuse_unimplemented(const std::string& expected, const std::string& found) const {
    refuse(expected, found, "this is not implemented: take another model");
  }

  const std::string& where() const { return where_; }

 private:
  std::int64_t size_from(std::string_view name, const json& field) const {
    constexpr std::uint64_t limit =
        std::numeric_limits<std::int32_t>::max();  // so that products of two fit 64 bits
    if (!field.is_number_integer() || field.get<std::uint64_t>() - 1 >= limit) {  // 0 and below wrap around
      refuse(fmt::format("'{}' to be an integer from 1 to {}", name, limit), shown(field));
    }
    return field.get<std::int64_t>();
  }
  double positive_from(std::string_view name, const json& field) const {
    if (!field.is_number() || !(field.get<double>() > 0.0)) {
      refuse(fmt::format("'{}' to be a positive number", name), shown(field));
    }
    return field.get<double>();
  }

  const json& object_;
  std::string where_;
};

// Whether an option is used: null, absent and the plain value mean that it is not. With `use_sliding_window`
// off, a window beside it is not used either, and `layer_types` may say of each layer that it has none.
bool is_in_use(const Fields& fields, const RefusedKey& option) {
  const json* const field = fields.find(option.name);
  if (field == nullptr || *field == json::parse(option.plain)) return false;
  if (option.name == "sliding_window") return fields.flag_or("use_sliding_window", true);
  if (option.name == "layer_types" && field->is_array()) {
    return std::ranges::any_of(*field, [](const json& type) { return type != "full_attention"; });
  }
  return true;
}

void refuse_unimplemented_options(const Fields& fields, Family family) {
  for (const RefusedKey& option : refused_keys()) {
    if (is_used_key(option.name, family) || !is_in_use(fields, option)) continue;
    const std::string expected = option.plain == "null" ? fmt::format("no '{}'", option.name)
                                                        : fmt::format("'{}' to be {}", option.name, option.plain);
    fields.refuse_unimplemented(expected, shown(*fields.find(option.name)));
  }
}

Activation activation_of(const Fields& fields, std::string_view name, const std::string& otherwise) {
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

std::optional<DType> dtype_of(const Fields& fields) {
  const char* const name = fields.find("dtype") != nullptr ? "dtype" : "torch_dtype";
  const std::string text = fields.text_or(name, "");
  if (text.empty()) return std::nullopt;
  if (text == "float32") return DType::f32;
  if (text == "float16") return DType::f16;
  if (text == "bfloat16") return DType::bf16;
  fields.refuse_unimplemented(fmt::format("'{}' to be float32, float16 or bfloat16", name),
                              fmt::format("'{}'", text));
}

RopeScaling rope_scaling_of(const Fields& rope, std::int64_t max_positions) {
  const std::string type = rope.text_or("rope_type", rope.text_or("type", "default"));
  if (type == "default") return {};
  if (type == "linear") return {.kind = RopeScaling::Kind::linear, .factor = rope.positive("factor")};
  if (type != "llama3") {
    rope.refuse_unimplemented("the rope type default, linear or llama3", fmt::format("'{}'", type));
  }
  const RopeScaling scaling = {
      .kind = RopeScaling::Kind::llama3,
      .factor = rope.positive("factor"),
      .low_freq_factor = rope.positive("low_freq_factor"),
      .high_freq_factor = rope.positive("high_freq_factor"),
      .original_max_position_embeddings = rope.size_or("original_max_position_embeddings", max_positions)};
  if (scaling.high_freq_factor <= scaling.low_freq_factor) {
    rope.refuse(fmt::format("'high_freq_factor' above 'low_freq_factor' {}", scaling.low_freq_factor),
                fmt::format("{}", scaling.high_freq_factor));
  }
  return scaling;
}

// Reads which share of a head is turned, where the family has such a key; as transformers does, rounded down.
void read_rotary_share(const Fields& fields, ModelConfig& config) {
  const std::string_view name = config.traits().keys.rotary_share;
  if (fields.find(name) == nullptr) return;
  const double share = fields.positive(name);
  if (share > 1) fields.refuse(fmt::format("'{}' of at most 1", name), fmt::format("{}", share));
  config.rotary_dim = static_cast<std::int64_t>(static_cast<double>(config.head_dim) * share);
}

// Reads three spellings: 'rope_parameters' holds everything (transformers 5), or 'rope_scaling' with
// 'rope_type' (4) or 'type' (older) beside 'rope_theta'. As in transformers, 'rope_scaling' wins over
// 'rope_parameters', a theta inside over the one beside it, and original_max_position_embeddings beside it
// over the one inside.
void read_rope(const Fields& fields, ModelConfig& config) {
  config.rope_theta = fields.positive_or("rope_theta", 10000.0);
  for (const char* const name : {"rope_scaling", "rope_parameters"}) {
    const json* const object = fields.find(name);
    if (object == nullptr || object->empty()) continue;
    const Fields rope(*object, fmt::format("'{}' of {}", name, fields.where()));
    refuse_unimplemented_options(rope, config.family);
    if (rope.find("full_attention") != nullptr || rope.find("sliding_attention") != nullptr) {
      rope.refuse_unimplemented("one set of rotary parameters", "one for each kind of layer");
    }
    config.rope_theta = rope.positive_or("rope_theta", config.rope_theta);
    read_rotary_share(rope, config);
    config.rope_scaling = rope_scaling_of(rope, config.max_positions);
    std::int64_t& trained = config.rope_scaling.original_max_position_embeddings;
    if (trained > 0) trained = fields.size_or("original_max_position_embeddings", trained);
    return;
  }
}

// Reads sizes and options under the family's names.
void read_family(const Fields& fields, const FamilyTraits& traits, ModelConfig& config) {
  const ConfigKeys& keys = traits.keys;
  config.family = traits.family;
  config.layers = fields.size(keys.layers);
  config.d_model = fields.size(keys.d_model);
  config.d_ff = keys.d_ff_per_d_model == 0 ? fields.size(keys.d_ff)
                                           : fields.size_or(keys.d_ff, keys.d_ff_per_d_model * config.d_model);
  config.heads = fields.size(keys.heads);
  config.kv_heads = fields.size_or(keys.kv_heads, config.heads);
  config.head_dim = fields.size_or(keys.head_dim, config.d_model / config.heads);
  config.max_positions = fields.size(keys.max_positions);
  config.norm_epsilon = fields.positive_or(keys.norm_epsilon, keys.default_norm_epsilon);
  config.activation = activation_of(fields, keys.activation, std::string(keys.default_activation));
  config.tied_head = fields.flag_or("tie_word_embeddings", keys.tied_head_by_default);
  config.attention_bias = fields.flag_or(keys.attention_bias, keys.default_attention_bias);
  config.mlp_bias = fields.flag_or(keys.mlp_bias, keys.default_mlp_bias);
  if (traits.positions != PositionKind::rotary) return;
  const std::int64_t rotary_dim = keys.default_rotary_dim == 0 ? config.head_dim : keys.default_rotary_dim;
  config.rotary_dim = fields.size_or(keys.rotary_dim, rotary_dim);
  read_rotary_share(fields, config);
  if (keys.has_rotary_parameters) read_rope(fields, config);
}

void check_sizes(const Fields& fields, const ModelConfig& config) {
  const bool own_head_dim = fields.find(config.traits().keys.head_dim) != nullptr;
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
    fields.refuse(fmt::format("an even {}, for rotary positions turn pairs", whole ? "head size" : "part of a head"),
                  fmt::format("{}", config.rotary_dim));
  }
}

void read_tokens(const Fields& fields, ModelConfig& config) {
  const ConfigKeys& keys = config.traits().keys;
  config.vocabulary = fields.size("vocab_size");
  const std::vector<std::int64_t> bos = fields.ids_or("bos_token_id", keys.default_bos_id);
  if (bos.size() > 1) fields.refuse("one 'bos_token_id'", fmt::format("{}", bos.size()));
  if (!bos.empty()) config.bos_id = bos.front();
  config.eos_ids = fields.ids_or("eos_token_id", keys.default_eos_id);
}

}  // namespace

ModelConfig parse_model_config(const json& config, const std::string& where) {
  const Fields fields(config, where);
  const std::string type = fields.text_or("model_type", "none");
  const FamilyTraits* traits = family_named(type);
  if (traits == nullptr)
    fields.refuse_unimplemented(fmt::format("'model_type' to be {}", family_names()), fmt::format("'{}'", type));
  ModelConfig parsed;
  read_family(fields, *traits, parsed);
  refuse_unimplemented_options(fields, parsed.family);
  read_tokens(fields, parsed);
  parsed.dtype = dtype_of(fields);
  check_sizes(fields, parsed);
  parsed.unknown_keys = unknown_keys(config, parsed.family);
  return parsed;
}

ModelConfig read_model_config(const std::filesystem::path& path) {
  const MappedFile file(path);
  return parse_model_config(parse_strict_json(text_of(file.bytes()), path.string()), path.string());
}

}  // namespace anchorage::io
