#include "worker/model/tensor_names.hpp"

#include <fmt/format.h>

#include <algorithm>
#include <array>
#include <set>
#include <string_view>

namespace anchorage::worker {
namespace {

const std::string head = "lm_head.weight";

std::vector<std::string> names_of_gpt2(const std::string& prefix, std::int64_t layers) {
  std::vector<std::string> names = {prefix + "wte.weight", prefix + "wpe.weight", prefix + "ln_f.weight",
                                    prefix + "ln_f.bias"};
  for (std::int64_t layer = 0; layer < layers; ++layer) {
    for (const char* part : {"ln_1", "attn.c_attn", "attn.c_proj", "ln_2", "mlp.c_fc", "mlp.c_proj"}) {
      for (const char* kind : {"weight", "bias"})
        names.push_back(fmt::format("{}h.{}.{}.{}", prefix, layer, part, kind));
    }
  }
  return names;
}

std::vector<std::string> names_of_llama(const std::string& prefix, const io::ModelConfig& config) {
  std::vector<std::string> names = {prefix + "embed_tokens.weight", prefix + "norm.weight"};
  for (std::int64_t layer = 0; layer < config.layers; ++layer) {
    const auto add = [&](const char* part, bool bias) {
      const std::string name = fmt::format("{}layers.{}.{}", prefix, layer, part);
      names.push_back(name + ".weight");
      if (bias) names.push_back(name + ".bias");
    };
    for (const char* part : {"input_layernorm", "post_attention_layernorm"}) add(part, false);
    for (const char* part : {"self_attn.q_proj", "self_attn.k_proj", "self_attn.v_proj", "self_attn.o_proj"})
      add(part, config.attention_bias);
    for (const char* part : {"mlp.gate_proj", "mlp.up_proj", "mlp.down_proj"}) add(part, config.mlp_bias);
  }
  return names;
}

// What transformers computes anew and saved in older versions.
bool is_old_buffer(const std::string& name, io::Family family) {
  static constexpr std::array<std::string_view, 2> masks = {".attn.bias", ".attn.masked_bias"};
  if (family == io::Family::llama) return name.ends_with("rotary_emb.inv_freq");
  return std::ranges::any_of(masks, [&](std::string_view mask) { return name.ends_with(mask); });
}

}  // namespace

std::string tensor_prefix(const io::ModelDirectory& directory) {
  const bool gpt2 = directory.config().family == io::Family::gpt2;
  return directory.weights().contains(gpt2 ? "wte.weight" : "embed_tokens.weight") ? ""
         : gpt2                                                                    ? "transformer."
                                                                                   : "model.";
}

std::string embedding_name(const io::ModelDirectory& directory) {
  const bool gpt2 = directory.config().family == io::Family::gpt2;
  return tensor_prefix(directory) + (gpt2 ? "wte.weight" : "embed_tokens.weight");
}

bool has_own_head(const io::ModelDirectory& directory) {
  if (!directory.config().tied_head) return true;
  const io::WeightFiles& weights = directory.weights();
  const std::string embedding = embedding_name(directory);
  if (!weights.contains(head) || !weights.contains(embedding)) return false;
  const io::StoredTensor &own = weights.stored(head), &tied = weights.stored(embedding);
  return own.dtype != tied.dtype || !std::ranges::equal(own.bytes, tied.bytes);
}

std::vector<std::string> unused_tensors(const io::ModelDirectory& directory) {
  const io::ModelConfig& config = directory.config();
  const std::string prefix = tensor_prefix(directory);
  const auto names =
      config.family == io::Family::gpt2 ? names_of_gpt2(prefix, config.layers) : names_of_llama(prefix, config);
  std::set<std::string> known(names.begin(), names.end());
  known.insert(head);
  std::vector<std::string> unused;
  for (const std::string& name : directory.weights().names()) {
    if (!known.contains(name) && !is_old_buffer(name, config.family)) unused.push_back(name);
  }
  return unused;
}

}  // namespace anchorage::worker
