// The config.json of a Hugging Face model of one of the families (family.hpp).
#pragma once

#include <cstdint>
#include <filesystem>
#include <nlohmann/json_fwd.hpp>
#include <optional>
#include <string>
#include <vector>

#include "io/model/dtype.hpp"
#include "io/model/family.hpp"
#include "io/model/rope_scaling.hpp"

namespace anchorage::io {

// gelu_new is the tanh approximation (also spelled gelu_pytorch_tanh), gelu the exact one.
enum class Activation { gelu_new, gelu, silu };

struct ModelConfig {
  Family family = Family::llama;
  std::int64_t layers = 0;
  std::int64_t d_model = 0;
  std::int64_t d_ff = 0;
  std::int64_t heads = 0;
  std::int64_t kv_heads = 0;  // divides heads
  std::int64_t head_dim = 0;  // heads * head_dim may differ from d_model
  std::int64_t vocabulary = 0;
  std::int64_t max_positions = 0;
  double norm_epsilon = 0.0;
  Activation activation = Activation::silu;
  bool tied_head = false;  // the head is the embedding matrix
  bool qkv_bias = true;
  bool attention_output_bias = true;
  bool mlp_bias = true;
  std::vector<std::int64_t> windows;  // of each layer: how many positions a query sees, its own among them; 0: all
  double attention_scale = 0;         // attention's scores are divided by its root; 0: head_dim
  double attention_cap = 0, head_cap = 0;  // x becomes cap * tanh(x / cap), in scores and in logits; 0: it stays
  std::int64_t rotary_dim = 0;             // entries of a head that positions turn; this and the next: rotary only
  double rope_theta = 10000.0;
  double local_rope_theta = 0;  // of layers with a window, without scaling; 0: as of all layers
  RopeScaling rope_scaling;
  std::optional<std::int64_t> bos_id;
  std::vector<std::int64_t> eos_ids;      // may be empty
  std::optional<DType> dtype;             // declared by the file; each tensor has its own
  std::vector<std::string> unknown_keys;  // keys of the file that were ignored, sorted
                                          // (model_config_keys.hpp)

  double query_scalar() const { return attention_scale == 0 ? static_cast<double>(head_dim) : attention_scale; }
  const FamilyTraits& traits() const { return traits_of(family); }
  // Returns a layer's entry of `windows`, 0 where that is empty.
  std::int64_t window_of(std::int64_t layer) const {
    return windows.empty() ? 0 : windows[static_cast<std::size_t>(layer)];
  }
};

// Gives absent fields the values that transformers gives them; the sizes are required. Refuses by name an
// option that changes what the model computes and is not implemented. Errors: UserError, with `where`.
ModelConfig parse_model_config(const nlohmann::json& config, const std::string& where);

// Reads the file. Errors: as parse_model_config, and UserError for a file that is not JSON.
ModelConfig read_model_config(const std::filesystem::path& path);

}  // namespace anchorage::io
