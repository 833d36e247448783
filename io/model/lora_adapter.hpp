// A LoRA adapter in the form of `peft`, which vLLM, SGLang and llama.cpp's converter read too: adapter_config.json
// and adapter_model.safetensors.
//
// An adapted weight computes as W + B A (lora_alpha = r, so that its scale is 1). All layers have the same rank,
// with zeros where a layer needs less: vLLM passes over `rank_pattern` and `alpha_pattern` without a word.
#pragma once

#include <array>
#include <cstdint>
#include <filesystem>
#include <map>
#include <optional>

#include "io/matrix.hpp"
#include "io/model/model_directory.hpp"

namespace anchorage::io {

// The ranks that vLLM accepts (--max-lora-rank).
inline constexpr std::array<std::int64_t, 9> served_ranks = {1, 8, 16, 32, 64, 128, 256, 320, 512};

// Returns the smallest of them that holds a change of this rank; nothing where none does.
std::optional<std::int64_t> smallest_served_rank(std::int64_t rank);

// The change of one layer's edited weight W [d, f]: B A.
struct LoraFactors {
  Matrix b;  // [d, r]
  Matrix a;  // [r, f]

  bool operator==(const LoraFactors&) const = default;
};

// The adapter of a model's edited weights, by layer.
struct LoraAdapter {
  std::int64_t rank = 0;
  std::map<std::int64_t, LoraFactors> layers;

  bool operator==(const LoraAdapter&) const = default;
};

// Writes the adapter into an existing directory, in f32: servers compute with it in their own dtype, `peft` in that
// of the base, and converting is theirs. `base` gives the modules' names and is named in the configuration. Throws
// SystemError where the disk refuses; InternalError where a matrix has not the rank.
void write_lora_adapter(const ModelDirectory& base, const std::filesystem::path& directory,
                        const LoraAdapter& adapter);

// Reads an adapter as write_lora_adapter writes it. Throws UserError for a file that is missing or malformed, for
// other keys that scale or move the product, and for modules other than the model's edited ones.
LoraAdapter read_lora_adapter(const ModelDirectory& base, const std::filesystem::path& directory);

}  // namespace anchorage::io
