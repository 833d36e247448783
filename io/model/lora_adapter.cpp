#include "io/model/lora_adapter.hpp"

#include <fmt/format.h>

#include <algorithm>
#include <cstring>
#include <nlohmann/json.hpp>
#include <vector>

#include "io/error.hpp"
#include "io/files/atomic_file.hpp"
#include "io/files/mapped_file.hpp"
#include "io/model/float_conversion.hpp"
#include "io/model/safetensors.hpp"
#include "io/model/safetensors_writer.hpp"
#include "io/text/strict_json.hpp"
#include "io/text/text_of.hpp"

namespace anchorage::io {
namespace {

namespace fs = std::filesystem;

constexpr auto adapter_config_name = "adapter_config.json";
constexpr auto weights_name = "adapter_model.safetensors";

// "layers.{}." -> "layers"
std::string layers_pattern(const TensorNames& names) {
  const std::string_view block = names.block;
  return std::string(block.substr(0, block.find(".{}")));
}

// The module's name below its block, as short as it is unambiguous there: SGLang compares the last part alone.
std::string target_module(const TensorNames& names) {
  const auto last = [](std::string_view name) { return name.substr(name.rfind('.') + 1); };
  const std::string_view own = last(names.down);
  return std::string(last(names.attention_output) == own ? names.down : own);
}

std::string tensor_name(const FamilyTraits& traits, std::int64_t layer, char factor) {
  const std::string module = fmt::format(fmt::runtime(adapted_module(traits)), layer);
  return fmt::format("base_model.model.{}.lora_{}.weight", module, factor);
}

nlohmann::ordered_json config_of(const ModelDirectory& base, const LoraAdapter& adapter) {
  const FamilyTraits& traits = base.config().traits();
  auto layers = nlohmann::ordered_json::array();
  for (const auto& [layer, factors] : adapter.layers) layers.push_back(layer);
  return {{"peft_type", "LORA"},
          {"task_type", "CAUSAL_LM"},
          {"base_model_name_or_path", fs::absolute(base.path()).lexically_normal().string()},
          {"inference_mode", true},
          {"r", adapter.rank},
          {"lora_alpha", adapter.rank},
          {"lora_dropout", 0.0},
          {"bias", "none"},
          {"fan_in_fan_out", traits.transposed_weights},
          {"target_modules", nlohmann::ordered_json::array({target_module(traits.names)})},
          {"layers_to_transform", layers},
          {"layers_pattern", layers_pattern(traits.names)},
          {"modules_to_save", nullptr},
          {"use_rslora", false},
          {"use_dora", false}};
}

TensorView view_of(const Matrix& matrix) {
  return {.dtype = DType::f32,
          .shape = {matrix.rows, matrix.columns},
          .bytes = std::as_bytes(std::span(matrix.values))};
}

Matrix matrix_at(const SafetensorsFile& file, const std::string& name) {
  const TensorView view = file.at(name);
  if (view.shape.size() != 2) {
    throw UserError({.expected = "a matrix",
                     .found = fmt::format("{} dimensions", view.shape.size()),
                     .where = fmt::format("{}, tensor '{}'", file.path().string(), name),
                     .remedy = "export again"});
  }
  return {.rows = view.shape[0], .columns = view.shape[1], .values = decode(view.bytes, view.dtype)};
}

nlohmann::json read_config(const fs::path& path) {
  const MappedFile file(path);
  return parse_strict_json(text_of(file.bytes()), path.string());
}

}  // namespace

std::optional<std::int64_t> smallest_served_rank(std::int64_t rank) {
  const auto* found = std::ranges::lower_bound(served_ranks, rank);
  return found == served_ranks.end() ? std::nullopt : std::optional(*found);
}

void write_lora_adapter(const ModelDirectory& base, const fs::path& directory, const LoraAdapter& adapter) {
  const FamilyTraits& traits = base.config().traits();
  std::vector<NamedTensor> tensors;
  for (const auto& [layer, factors] : adapter.layers) {
    check(factors.a.rows == adapter.rank && factors.b.columns == adapter.rank,
          fmt::format("layer {} of an adapter has another rank than {}", layer, adapter.rank));
    tensors.push_back({tensor_name(traits, layer, 'A'), view_of(factors.a)});
    tensors.push_back({tensor_name(traits, layer, 'B'), view_of(factors.b)});
  }
  write_safetensors(directory / weights_name, tensors);
  write_file_atomically(directory / adapter_config_name, config_of(base, adapter).dump(2) + "\n");
}

LoraAdapter read_lora_adapter(const ModelDirectory& base, const fs::path& directory) {
  const FamilyTraits& traits = base.config().traits();
  const nlohmann::json found = read_config(directory / adapter_config_name);
  const auto file = SafetensorsFile::open(directory / weights_name);
  LoraAdapter adapter;
  for (std::int64_t layer = 0; layer < base.config().layers; ++layer) {
    const std::string a = tensor_name(traits, layer, 'A');
    if (!file.contains(a)) continue;
    adapter.layers[layer] = {.b = matrix_at(file, tensor_name(traits, layer, 'B')), .a = matrix_at(file, a)};
    adapter.rank = adapter.layers[layer].a.rows;
  }
  const nlohmann::json expected = config_of(base, adapter);
  if (found == expected && file.names().size() == 2 * adapter.layers.size()) return adapter;
  throw UserError({.expected = fmt::format("an adapter of {} with this configuration: {}", base.path().string(),
                                           expected.dump()),
                   .found = fmt::format("{} tensors and {}", file.names().size(), found.dump()),
                   .where = directory.string(),
                   .remedy = "export again"});
}

}  // namespace anchorage::io
