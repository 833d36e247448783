#include "worker/model/tensor_names.hpp"

#include <fmt/format.h>

#include <algorithm>
#include <array>
#include <set>
#include <string_view>

namespace anchorage::worker {
namespace {

const std::string head = "lm_head.weight";
const std::string head_bias = "lm_head.bias";

// Lists all names but the head's, as config.json promises them.
std::vector<std::string> names_of(const std::string& prefix, const io::ModelConfig& config) {
  const io::FamilyTraits& traits = config.traits();
  const io::TensorNames& part = traits.names;
  const bool norm_bias = traits.norm == io::NormKind::layer_norm;
  std::vector<std::string> names;
  const auto add = [&](const std::string& block, std::string_view module, bool bias) {
    if (module.empty()) return;
    names.push_back(fmt::format("{}{}{}.weight", prefix, block, module));
    if (bias) names.push_back(fmt::format("{}{}{}.bias", prefix, block, module));
  };
  add("", part.embedding, false);
  add("", part.position_embedding, false);
  add("", part.final_norm, norm_bias);
  for (std::int64_t layer = 0; layer < config.layers; ++layer) {
    const std::string block = block_name(part, layer);
    for (const std::string_view norm :
         {part.attention_norm, part.attention_post_norm, part.mlp_norm, part.mlp_post_norm})
      add(block, norm, norm_bias);
    for (const std::string_view norm : {part.query_norm, part.key_norm}) add(block, norm, false);
    for (const std::string_view module : part.qkv) add(block, module, config.qkv_bias);
    add(block, part.attention_output, config.attention_output_bias);
    for (const std::string_view module : part.up) add(block, module, config.mlp_bias);
    add(block, part.down, config.mlp_bias);
  }
  return names;
}

bool is_of_another_model(const std::string& name, const io::FamilyTraits& traits) {
  return std::ranges::any_of(traits.names.other_models,
                             [&](std::string_view prefix) { return name.starts_with(prefix); });
}

// Whether the tensor is a buffer that older versions of transformers saved and newer ones recompute.
bool is_old_buffer(const std::string& name, const io::FamilyTraits& traits) {
  return std::ranges::any_of(traits.names.recomputed,
                             [&](std::string_view ending) { return name.ends_with(ending); });
}

}  // namespace

std::string tensor_prefix(const io::ModelDirectory& directory) {
  const io::TensorNames& names = directory.config().traits().names;
  const auto begins_with = [&](std::string_view prefix) {
    return directory.weights().contains(fmt::format("{}{}.weight", prefix, names.embedding));
  };
  if (begins_with("")) return "";
  return std::string(begins_with(names.module_prefix) ? names.module_prefix : names.prefix);
}

std::string block_name(const io::TensorNames& names, std::int64_t layer) {
  return fmt::format(fmt::runtime(names.block), layer);
}

std::string embedding_name(const io::ModelDirectory& directory) {
  return fmt::format("{}{}.weight", tensor_prefix(directory), directory.config().traits().names.embedding);
}

std::string down_projection_name(const io::ModelDirectory& directory, std::int64_t layer) {
  const io::TensorNames& names = directory.config().traits().names;
  return fmt::format("{}{}{}.weight", tensor_prefix(directory), block_name(names, layer), names.down);
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
  const auto names = names_of(prefix, config);
  std::set<std::string> known(names.begin(), names.end());
  known.insert(head);
  if (config.traits().head_bias) known.insert(head_bias);
  std::vector<std::string> unused;
  for (const std::string& name : directory.weights().names()) {
    if (known.contains(name) || is_old_buffer(name, config.traits())) continue;
    if (!is_of_another_model(name, config.traits())) unused.push_back(name);
  }
  return unused;
}

}  // namespace anchorage::worker
