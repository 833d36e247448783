#include <fmt/format.h>
#include <fmt/ranges.h>

#include <algorithm>
#include <cmath>
#include <vector>

#include "io/error.hpp"
#include "io/hparams/hparams.hpp"

namespace anchorage::io {
namespace {

struct ModuleName {
  std::string Hparams::*member;
  std::string_view key;
  std::string name;
  std::string alias{};  // another name for the same module, used with a tied head
};

std::vector<ModuleName> module_names(const FamilyTraits& traits) {
  return {{&Hparams::rewrite_module_tmp, "rewrite_module_tmp", edited_module(traits)},
          {&Hparams::layer_module_tmp, "layer_module_tmp", layer_module(traits)},
          {&Hparams::mlp_module_tmp, "mlp_module_tmp", mlp_module(traits)},
          {&Hparams::attn_module_tmp, "attn_module_tmp", attention_module(traits)},
          {&Hparams::ln_f_module, "ln_f_module", final_norm_module(traits)},
          {&Hparams::lm_head_module, "lm_head_module", "lm_head", embedding_module(traits)}};
}

// Where the values in a message come from.
class Origin {
 public:
  Origin(const std::string& file, std::span<const std::string> assignments)
      : file_(file), assignments_(assignments) {}

  // Returns the last --set of one of the keys, else the file.
  std::string of(std::initializer_list<std::string_view> keys) const {
    for (std::size_t i = assignments_.size(); i-- > 0;) {
      const std::string_view assignment = assignments_[i];
      const bool sets = std::ranges::count(keys, assignment.substr(0, assignment.find('='))) > 0;
      if (sets) return fmt::format("--set {}", assignment);
    }
    return file_;
  }

 private:
  const std::string& file_;
  std::span<const std::string> assignments_;
};

void check_layers(const Hparams& hparams, const ModelConfig& model, const Origin& origin) {
  const auto refuse = [&](std::string expected, std::string found, std::string remedy,
                          std::initializer_list<std::string_view> keys = {"layers"}) {
    throw UserError({.expected = std::move(expected),
                     .found = std::move(found),
                     .where = origin.of(keys),
                     .remedy = std::move(remedy)});
  };
  const std::vector<int>& layers = hparams.layers;
  if (layers.empty()) refuse("layers to edit", "none", "give them as layers: [4, 5, 6, 7, 8]");
  for (const int layer : layers) {
    if (layer < 0 || layer >= model.layers) {
      refuse(fmt::format("layers from 0 to {}", model.layers - 1), fmt::format("layer {}", layer),
             fmt::format("the model has {} layers", model.layers));
    }
  }
  if (const auto repeated = std::ranges::adjacent_find(layers); repeated != layers.end()) {
    refuse("each layer once", fmt::format("layer {} repeated", *repeated), "take it out");
  }
  if (!std::ranges::is_sorted(layers)) {
    refuse("layers in ascending order, each once", fmt::format("[{}]", fmt::join(layers, ", ")), "sort them");
  }
  const int loss_layer = *hparams.v_loss_layer;
  if (loss_layer >= model.layers) {
    refuse(fmt::format("a loss layer below {}", model.layers), fmt::format("v_loss_layer {}", loss_layer),
           fmt::format("the last layer of this model is {}", model.layers - 1), {"v_loss_layer"});
  }
  if (loss_layer < layers.back()) {
    refuse(fmt::format("a loss layer of at least {}, the last edited one", layers.back()),
           fmt::format("v_loss_layer {}", loss_layer),
           fmt::format("the last layer of this model is {}", model.layers - 1), {"v_loss_layer", "layers"});
  }
}

Hparams with_module_names(Hparams hparams, const ModelConfig& model, const Origin& origin) {
  for (const ModuleName& module : module_names(model.traits())) {
    std::string& given = hparams.*module.member;
    if (!given.empty() && given != module.name && given != module.alias) {
      throw UserError({.expected = fmt::format("{} '{}'", module.key, module.name),
                       .found = fmt::format("'{}'", given),
                       .where = origin.of({module.key}),
                       .remedy = fmt::format("these are names of another family than the model's, {}; correct the "
                                             "name or leave it out",
                                             model.traits().model_type)});
    }
    if (given.empty()) given = module.name;
  }
  return hparams;
}

void check_anchors(std::string_view key, double ratio, const ModelConfig& model, const Origin& origin) {
  if (std::floor(ratio * static_cast<double>(model.d_model)) >= 1) return;
  throw UserError(
      {.expected = fmt::format("at least one anchor in {} dimensions", model.d_model),
       .found = fmt::format("{} {}", key, ratio),
       .where = origin.of({key}),
       .remedy = fmt::format("take {} or more", std::ceil(1e6 / static_cast<double>(model.d_model)) / 1e6)});
}

// Context prefixes are generated; the prompts need positions after them.
void check_room_for_contexts(const Hparams& hparams, const ModelConfig& model, const Origin& origin) {
  if (hparams.context_length < model.max_positions) return;
  throw UserError({.expected = fmt::format("a context_length below the model's {} positions", model.max_positions),
                   .found = fmt::format("{}", hparams.context_length),
                   .where = origin.of({"context_length"}),
                   .remedy = "leave room for the prompts: 10 is usual"});
}

void check_end_of_text(const Hparams& hparams, const ModelConfig& model, const Origin& origin) {
  if (!hparams.target_end || !model.eos_ids.empty()) return;
  throw UserError({.expected = "a model with an end-of-text token, for target_end: true",
                   .found = "no eos_token_id in its config.json",
                   .where = origin.of({"target_end"}),
                   .remedy = "set target_end: false, or name the token in config.json"});
}

}  // namespace

Hparams resolve(Hparams hparams, const ModelConfig& model, const std::string& file,
                std::span<const std::string> assignments) {
  const Origin origin(file, assignments);
  if (!hparams.v_loss_layer) hparams.v_loss_layer = static_cast<int>(model.layers) - 1;
  check_layers(hparams, model, origin);
  check_room_for_contexts(hparams, model, origin);
  check_end_of_text(hparams, model, origin);
  check_anchors("eac_anchor_ratio", hparams.eac_anchor_ratio, model, origin);
  if (hparams.anchor_ratio) check_anchors("anchor_ratio", *hparams.anchor_ratio, model, origin);
  return with_module_names(std::move(hparams), model, origin);
}

}  // namespace anchorage::io
