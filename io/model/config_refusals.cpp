#include "io/model/config_refusals.hpp"

#include <algorithm>
#include <array>
#include <nlohmann/json.hpp>

#include "io/model/model_config_keys.hpp"
#include "io/text/strict_json.hpp"

namespace anchorage::io {
namespace {

using nlohmann::json;

constexpr auto refused = std::to_array<RefusedKey>({
    {"scale_attn_weights", "true"},
    {"scale_attn_by_inverse_layer_idx", "false"},
    {"rotary", "true"},
    {"attn_logit_softcapping", "null"},
    {"use_bidirectional_attention", "false"},
    {"add_cross_attention", "false"},
    {"is_encoder_decoder", "false"},
    {"partial_rotary_factor", "1.0"},
    {"rope_interleaved", "false"},
    {"use_mrope", "false"},
    {"attention_bias", "false"},
    {"mlp_bias", "false"},
    {"sliding_window", "null"},
    {"use_sliding_window", "false"},
    {"pruned_heads", "{}"},
    {"quantization_config", "null"},
    {"num_experts", "null"},
    {"num_local_experts", "null"},
    {"n_routed_experts", "null"},
    {"moe_intermediate_size", "null"},
});

constexpr auto of_experts = std::to_array<std::string_view>(
    {"num_experts", "num_local_experts", "n_routed_experts", "moe_intermediate_size"});

// Model types of mixtures of experts whose name does not say it.
constexpr auto mixtures =
    std::to_array<std::string_view>({"mixtral", "deepseek_v2", "deepseek_v3", "gpt_oss", "dbrx", "llama4",
                                     "llama4_text", "jamba", "arctic", "grok-1"});

[[noreturn]] void refuse_mixture(const ConfigFields& fields, const std::string& found) {
  fields.refuse("a dense model, with one down projection in each layer", found + ", a mixture of experts",
                "this is not implemented: it would take a least squares for each expert, of the keys of the tokens "
                "that are routed to it; take a dense model");
}

// "'fp8'" of {"quant_method": "fp8", ...}; older files of bitsandbytes name no method.
std::string quantization(const json& config) {
  if (!config.is_object()) return shown(config);
  const auto method = config.find("quant_method");
  if (method != config.end() && method->is_string()) return fmt::format("'{}'", method->get<std::string>());
  const bool is_bitsandbytes = config.contains("load_in_4bit") || config.contains("load_in_8bit");
  return is_bitsandbytes ? "'bitsandbytes'" : shown(config);
}

[[noreturn]] void refuse_quantization(const ConfigFields& fields, const json& config) {
  fields.refuse(
      "no 'quantization_config', for weights in F32, F16 or BF16",
      fmt::format("the method {}", quantization(config)),
      "this is not implemented: it would take reading its scales with its packed weights, and writing an "
      "edited matrix in another format than its neighbors; edit the model that this one was quantized from, "
      "and quantize the export");
}

// Whether an option is used: null, absent and the plain value mean that it is not. With `use_sliding_window`
// off, a window beside it is not used either.
bool is_in_use(const ConfigFields& fields, const RefusedKey& option) {
  const json* const field = fields.find(option.name);
  if (field == nullptr || *field == json::parse(option.plain)) return false;
  return option.name != "sliding_window" || fields.flag_or("use_sliding_window", true);
}

}  // namespace

std::span<const RefusedKey> refused_keys() {
  return refused;
}

void refuse_unimplemented_options(const ConfigFields& fields, const FamilyTraits& traits) {
  for (const RefusedKey& option : refused) {
    if (is_used_key(option.name, traits) || !is_in_use(fields, option)) continue;
    const json& found = *fields.find(option.name);
    if (option.name == "quantization_config") refuse_quantization(fields, found);
    if (std::ranges::find(of_experts, option.name) != of_experts.end())
      refuse_mixture(fields, fmt::format("'{}': {}", option.name, shown(found)));
    const std::string expected = option.plain == "null" ? fmt::format("no '{}'", option.name)
                                                        : fmt::format("'{}' to be {}", option.name, option.plain);
    fields.refuse_unimplemented(expected, shown(found));
  }
}

void refuse_model_type(const ConfigFields& fields, const std::string& type) {
  if (type.find("moe") != std::string::npos || std::ranges::find(mixtures, type) != mixtures.end())
    refuse_mixture(fields, fmt::format("'model_type': '{}'", type));
  fields.refuse_unimplemented(fmt::format("'model_type' to be {}", family_names()), fmt::format("'{}'", type));
}

}  // namespace anchorage::io
