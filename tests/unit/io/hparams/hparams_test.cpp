#include "io/hparams/hparams.hpp"

#include <fmt/format.h>
#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <algorithm>
#include <map>
#include <sstream>

#include "io/hparams/hparams_keys.hpp"
#include "tests/support/message_of.hpp"
#include "tests/support/places.hpp"
#include "tests/support/temporary_directory.hpp"

namespace anchorage::io {
namespace {

using testing::AllOf;
using testing::ElementsAre;
using testing::HasSubstr;
using tests::message_of;

ModelConfig model_of(Family family, std::int64_t layers, std::int64_t d_model) {
  ModelConfig model;
  model.family = family;
  model.layers = layers;
  model.d_model = d_model;
  model.max_positions = 1024;
  return model;
}

const ModelConfig gpt2_xl = model_of(Family::gpt2, 48, 1600);
const ModelConfig llama3_8b = model_of(Family::llama, 32, 4096);
const ModelConfig demo = model_of(Family::llama, 30, 576);
const ModelConfig gpt_j = model_of(Family::gptj, 28, 4096);
const ModelConfig gemma2_2b = model_of(Family::gemma2, 26, 2304);
const ModelConfig gemma2_9b = model_of(Family::gemma2, 42, 3584);

LoadedHparams load(std::string_view content, const std::string& name = "h.yaml") {
  return load_hparams(tests::TemporaryDirectory().write(name, content));
}

std::string refusal(std::string_view content) {
  return message_of([&] { load(content); });
}

std::string refusal_to_resolve(const Hparams& hparams, const ModelConfig& model) {
  return message_of([&] { resolve(hparams, model, "h.yaml"); });
}

std::vector<std::string> names_of(const std::vector<IgnoredKey>& ignored) {
  std::vector<std::string> names;
  for (const IgnoredKey& key : ignored) names.push_back(key.key);
  return names;
}

// EasyEdit's hparams/MEMIT/llama-7b.yaml as published, with the keys that other files of its add.
constexpr std::string_view easyedit = R"(alg_name: "MEMIT"
model_name: "./hugging_cache/llama-2-7b"
stats_dir: "./data/stats"
device: 1
layers: [4, 5, 6, 7, 8]
clamp_norm_factor: 4
layer_selection: "all"
fact_token: "subject_last"
v_num_grad_steps: 25
v_lr: 5e-1
v_loss_layer: 31
v_weight_decay: 1e-3
kl_factor: 0.0625
mom2_adjustment: true
mom2_update_weight: 15000
rewrite_module_tmp: "model.layers.{}.mlp.down_proj"
layer_module_tmp: "model.layers.{}"
mlp_module_tmp: "model.layers.{}.mlp"
attn_module_tmp: "model.layers.{}.self_attn"
ln_f_module: "model.norm"
lm_head_module: "lm_head"
mom2_dataset: "wikipedia"
mom2_n_samples: 100000
mom2_dtype: "float32"
context_template_length_params: [[5, 10], [10, 10]]
model_parallel: False
fp16: true
batch_size: 1
max_length: 40
)";

// AlphaEdit's hparams/AlphaEdit/Llama3-8B.json as published.
constexpr std::string_view alphaedit = R"({
    "model_name": "Llama3-8B",
    "layers": [4, 5, 6, 7, 8],
    "clamp_norm_factor": 0.75,
    "layer_selection": "all",
    "fact_token": "subject_last",
    "v_num_grad_steps": 25,
    "v_lr": 1e-1,
    "v_loss_layer": 31,
    "v_weight_decay": 0.5,
    "kl_factor": 0.0625,
    "mom2_adjustment": true,
    "mom2_update_weight": 15000,
    "rewrite_module_tmp": "model.layers.{}.mlp.down_proj",
    "layer_module_tmp": "model.layers.{}",
    "mlp_module_tmp": "model.layers.{}.mlp",
    "attn_module_tmp": "model.layers.{}.self_attn",
    "ln_f_module": "model.norm",
    "lm_head_module": "lm_head",
    "mom2_dataset": "wikipedia",
    "mom2_n_samples": 100000,
    "mom2_dtype": "float32",
    "nullspace_threshold":2e-2,
    "L2":10
})";

TEST(Hparams, EasyEditFileLoadsAsItIsAndTellsWhatItIgnores) {
  const LoadedHparams loaded = load(easyedit);
  EXPECT_THAT(loaded.hparams.layers, ElementsAre(4, 5, 6, 7, 8));
  EXPECT_EQ(loaded.hparams.clamp_norm_factor, 4.0);
  EXPECT_EQ(loaded.hparams.v_num_grad_steps, 25);
  EXPECT_EQ(loaded.hparams.v_lr, 0.5);
  EXPECT_EQ(loaded.hparams.v_loss_layer, 31);
  EXPECT_EQ(loaded.hparams.v_weight_decay, 0.001);
  EXPECT_EQ(loaded.hparams.mom2_update_weight, 15000.0);
  EXPECT_EQ(loaded.hparams.rewrite_module_tmp, "model.layers.{}.mlp.down_proj");
  EXPECT_THAT(names_of(loaded.ignored),
              ElementsAre("alg_name", "model_name", "stats_dir", "device", "mom2_adjustment", "mom2_dataset",
                          "mom2_n_samples", "mom2_dtype", "context_template_length_params", "model_parallel",
                          "fp16", "batch_size", "max_length"));
  EXPECT_NO_THROW(resolve(loaded.hparams, llama3_8b, "h.yaml"));
}

TEST(Hparams, AShareOfSubjectsIsFromNoneToAll) {
  EXPECT_EQ(load("layers: [1]").hparams.subject_share, 0.0);
  for (const double share : {0.0, 0.25, 1.0})
    EXPECT_EQ(load(fmt::format("subject_share: {}", share)).hparams.subject_share, share);
  for (const char* wrong : {"-0.1", "1.01", "half"})
    EXPECT_THAT(refusal(fmt::format("subject_share: {}", wrong)),
                HasSubstr("a number from 0 to 1 for subject_share"));
}

TEST(Hparams, TheWeightOfProtectedKeysIsAboveNone) {
  EXPECT_EQ(load("layers: [1]").hparams.protect_weight, 100.0);
  EXPECT_EQ(load("protect_weight: 2.5").hparams.protect_weight, 2.5);
  for (const char* wrong : {"0", "-1", "much"})
    EXPECT_THAT(refusal(fmt::format("protect_weight: {}", wrong)), HasSubstr("protect_weight"));
}

TEST(Hparams, AlphaEditJsonLoadsAsItIs) {
  const LoadedHparams loaded = load(alphaedit, "Llama3-8B.json");
  EXPECT_EQ(loaded.hparams.v_lr, 0.1);
  EXPECT_EQ(loaded.hparams.nullspace_threshold, 0.02);
  EXPECT_EQ(loaded.hparams.L2, 10.0);
  EXPECT_EQ(loaded.hparams.lm_head_module, "lm_head");
  EXPECT_NO_THROW(resolve(loaded.hparams, llama3_8b, "Llama3-8B.json"));
}

TEST(Hparams, JsonIndentedWithTabsLoads) {
  EXPECT_THAT(load("{\n\t\"layers\":\n\t[\n\t\t17\n\t],\n\t\"v_lr\":5e-1}").hparams.layers, ElementsAre(17));
}

TEST(Hparams, ReadyFilesFitTheirModelsAndIgnoreNothing) {
  const ModelConfig llama2_13b = model_of(Family::llama, 40, 5120);
  const std::vector<std::pair<std::string, ModelConfig>> ready{
      {"gpt2-xl.yaml", gpt2_xl},
      {"llama2-13b.yaml", llama2_13b},
      {"llama3-8b.yaml", llama3_8b},
      {"smollm2-135m.yaml", demo},
      {"qwen2.5-0.5b.yaml", model_of(Family::qwen2, 24, 896)},
      {"qwen2.5-1.5b.yaml", model_of(Family::qwen2, 28, 1536)},
      {"qwen2.5-7b.yaml", model_of(Family::qwen2, 28, 3584)},
      {"qwen3-4b.yaml", model_of(Family::qwen3, 36, 2560)},
      {"qwen3-8b.yaml", model_of(Family::qwen3, 36, 4096)},
      {"mistral-7b.yaml", model_of(Family::mistral, 32, 4096)},
      {"llama3.2-1b.yaml", model_of(Family::llama, 16, 2048)},
      {"llama3.2-3b.yaml", model_of(Family::llama, 28, 3072)},
      {"llama3.1-8b.yaml", model_of(Family::llama, 32, 4096)},
      {"phi3-mini.yaml", model_of(Family::phi3, 32, 3072)},
      {"gpt-j-6b.yaml", gpt_j},
      {"gemma-2-2b.yaml", gemma2_2b},
      {"gemma-2-9b.yaml", gemma2_9b}};
  for (const auto& [name, model] : ready) {
    const std::filesystem::path path = std::filesystem::path(tests::source_path()) / "launch/hparams" / name;
    const LoadedHparams loaded = load_hparams(path);
    EXPECT_THAT(names_of(loaded.ignored), testing::IsEmpty()) << name;
    EXPECT_NO_THROW(resolve(loaded.hparams, model, name)) << name;
    EXPECT_EQ(loaded.hparams.v_loss_layer, model.layers - 1) << name;
    EXPECT_EQ(loaded.hparams.layers.size(), name == "gpt-j-6b.yaml" ? 6U : 5U) << name;
  }
}

TEST(Hparams, YamlOfHparamsReadsBackEqual) {
  const Hparams defaults;
  EXPECT_EQ(load(to_yaml(defaults)).hparams, defaults);

  Hparams changed{.layers = {1, 2}};
  for (const char* assignment :
       {"v_lr=1e-7", "v_loss_layer=29", "anchor_ratio=auto", "las=off", "v_optimizer=ngd", "early_stop=argmax",
        "eac_l1=0.1234567890123456", "group=16", "rar_strength=0", "ln_f_module=model.norm"}) {
    set(changed, assignment);
  }
  EXPECT_EQ(load(to_yaml(changed)).hparams, changed);
  const Hparams resolved = resolve(changed, demo, "h.yaml");
  EXPECT_EQ(load(to_yaml(resolved)).hparams, resolved);
  EXPECT_EQ(to_yaml(load(to_yaml(resolved)).hparams), to_yaml(resolved));
}

TEST(Hparams, YamlHasEveryKeyOnceResolved) {
  const std::string yaml = "\n" + to_yaml(resolve({.layers = {4}}, demo, "h.yaml"));
  for (const HparamKey& key : hparam_keys()) {
    EXPECT_THAT(yaml, HasSubstr(fmt::format("\n{}: ", key.name))) << key.name;
  }
  EXPECT_THAT(yaml, HasSubstr("\nv_loss_layer: 29\n"));
  EXPECT_THAT(yaml, HasSubstr("\nrewrite_module_tmp: \"model.layers.{}.mlp.down_proj\"\n"));
}

TEST(Hparams, NumbersInEverySpellingAreTheSame) {
  for (const char* spelling : {"1e-3", "0.001", "1E-3", ".001", "10e-4", "0.0010"}) {
    EXPECT_EQ(load(std::string("v_lr: ") + spelling).hparams.v_lr, 0.001) << spelling;
  }
}

TEST(Hparams, SwitchesAreReadInEverySpelling) {
  for (const char* spelling : {"true", "True", "on", "YES"}) {
    EXPECT_TRUE(load(std::string("las: ") + spelling).hparams.las) << spelling;
  }
  for (const char* spelling : {"false", "Off", "no"}) {
    EXPECT_FALSE(load(std::string("rar: ") + spelling).hparams.rar) << spelling;
  }
}

TEST(Hparams, UnknownKeyNamesTheNearestKnownOneAndTheLine) {
  EXPECT_THAT(refusal("v_lr: 0.5\nclamp_norm_facter: 4\n"),
              AllOf(HasSubstr("'clamp_norm_facter'"), HasSubstr("h.yaml, line 2"),
                    HasSubstr("nearest known one is 'clamp_norm_factor'")));
  EXPECT_THAT(refusal("V_LR: 0.5"), HasSubstr("nearest known one is"));
  EXPECT_THAT(refusal("[a]: 1"), HasSubstr("a known hyper-parameter"));
}

// Keys of EasyEdit's files for them, of SPHERE's and of ENCORE's.
TEST(Hparams, KeyOfAMethodThatIsNotHereNamesTheMethodAndGuessesNothing) {
  const std::vector<std::pair<std::string, std::string>> keys{{"emmet_lambda", "EMMET"},
                                                              {"update_norm_lambda", "EMMET"},
                                                              {"nll_loss_factor", "PMET"},
                                                              {"cumulative_ratio", "SPHERE"},
                                                              {"suppression_strength", "SPHERE"},
                                                              {"rewrite_module_tmps", "PMET"},
                                                              {"ks_bs", "EAMET"},
                                                              {"prob_cutoff", "ENCORE"},
                                                              {"num_steps", "FT"}};
  for (const auto& [key, method] : keys) {
    const std::string message = refusal("layers: [1]\n" + key + ": 0.1\n");
    EXPECT_THAT(message, AllOf(HasSubstr(key), HasSubstr(method + " is not here"), HasSubstr("line 2"))) << key;
    EXPECT_THAT(message, testing::Not(HasSubstr("nearest"))) << key;
  }
}

TEST(Hparams, FileTellsTheMethodThatItIsFor) {
  EXPECT_EQ(load(easyedit).algorithm, "MEMIT");
  EXPECT_EQ(load(alphaedit).algorithm, "");
}

TEST(Hparams, WhatASettingMadeWrongIsToldAsTheSettings) {
  const auto where = [](Hparams hparams, std::vector<std::string> assignments) {
    for (const std::string& assignment : assignments) set(hparams, assignment);
    return message_of([&] { resolve(hparams, demo, "h.yaml", assignments); });
  };
  EXPECT_THAT(where({.layers = {4}}, {"layers=1", "layers=1,30", "v_lr=1"}), HasSubstr("in --set layers=1,30;"));
  EXPECT_THAT(where({.layers = {30}}, {"v_lr=1"}), HasSubstr("in h.yaml;"));
  EXPECT_THAT(where({.layers = {4}}, {"v_loss_layer=3"}), HasSubstr("in --set v_loss_layer=3;"));
  EXPECT_THAT(where({.layers = {4}, .v_loss_layer = 5}, {"layers=6"}), HasSubstr("in --set layers=6;"));
  EXPECT_THAT(where({.layers = {4}}, {"eac_anchor_ratio=1e-5"}), HasSubstr("in --set eac_anchor_ratio=1e-5;"));
  EXPECT_THAT(where({.layers = {4}}, {"ln_f_module=x"}), HasSubstr("in --set ln_f_module=x;"));
  EXPECT_THAT(where({.layers = {4}}, {"context_length=1024"}), HasSubstr("in --set context_length=1024;"));
}

TEST(Hparams, KeyGivenTwiceIsRefusedAtItsLine) {
  EXPECT_THAT(refusal("v_lr: 0.5\nkl_factor: 1\nv_lr: 0.1\n"),
              AllOf(HasSubstr("'v_lr' again"), HasSubstr("line 3")));
}

TEST(Hparams, ValueOfTheWrongTypeIsRefusedWithKeyAndLine) {
  EXPECT_THAT(refusal("kl_factor: 1\nv_lr: fast"),
              AllOf(HasSubstr("a number above 0 for v_lr"), HasSubstr("'fast'"), HasSubstr("h.yaml, line 2")));
  EXPECT_THAT(refusal("v_lr: [1]"), HasSubstr("a list of 1"));
  EXPECT_THAT(refusal("v_lr:"), HasSubstr("nothing"));
  EXPECT_THAT(refusal("v_lr: \"0.5\""), HasSubstr("a number above 0"));
  EXPECT_THAT(refusal("v_lr: nan"), HasSubstr("a number above 0"));
  EXPECT_THAT(refusal("v_lr: 0.5x"), HasSubstr("'0.5x'"));
  EXPECT_THAT(refusal("v_num_grad_steps: 20.5"), HasSubstr("a whole number of at least 1"));
  EXPECT_THAT(refusal("v_num_grad_steps: 99999999999"), HasSubstr("a whole number of at least 1"));
  EXPECT_THAT(refusal("las: 2"), HasSubstr("true or false for las"));
  EXPECT_THAT(refusal("layers: [4, five]"), HasSubstr("'five'"));
  EXPECT_THAT(refusal("layers: {a: 1}"), HasSubstr("a list of whole numbers"));
  EXPECT_THAT(refusal("rewrite_module_tmp: [a]"), HasSubstr("a text"));
  EXPECT_THAT(refusal("v_optimizer: sgd"), HasSubstr("'adam' or 'ngd' for v_optimizer"));
  EXPECT_THAT(refusal("anchor_ratio: none"), HasSubstr("for anchor_ratio"));
}

TEST(Hparams, ValueOutOfItsRangeIsRefused) {
  EXPECT_THAT(refusal("v_lr: 0"), HasSubstr("above 0"));
  EXPECT_THAT(refusal("kl_factor: -1e-9"), HasSubstr("at least 0"));
  EXPECT_THAT(refusal("anchor_ratio: 1.01"), HasSubstr("at most 1"));
  EXPECT_THAT(refusal("rar_decay: 1"), HasSubstr("below 1"));
  EXPECT_THAT(refusal("contexts: 0"), HasSubstr("at least 1"));
  EXPECT_THAT(refusal("sink_ratio: 1"), HasSubstr("above 1"));
  EXPECT_EQ(load("anchor_ratio: 1").hparams.anchor_ratio, 1.0);
  EXPECT_EQ(load("anchor_ratio: auto").hparams.anchor_ratio, std::nullopt);
}

TEST(Hparams, ChoicesThatAreNotImplementedAreRefusedByName) {
  EXPECT_THAT(refusal("fact_token: last"), AllOf(HasSubstr("'subject_last'"), HasSubstr("'last'")));
  EXPECT_THAT(refusal("layer_selection: random"), HasSubstr("'random'"));
}

TEST(Hparams, FileThatIsNoMapOfKeysIsRefused) {
  EXPECT_THAT(refusal(""), HasSubstr("found nothing"));
  EXPECT_THAT(refusal("- 1\n- 2"), HasSubstr("a list of 2"));
  EXPECT_THAT(refusal("v_lr: 1\n{a: [1,2}"), HasSubstr("h.yaml, line 2"));
  EXPECT_THAT(refusal("layers: " + std::string(100'000, '[')), HasSubstr("h.yaml"));
  EXPECT_THAT(message_of([] { load_hparams("/nowhere/h.yaml"); }), HasSubstr("found none"));
  EXPECT_THAT(message_of([] { load_hparams("/tmp"); }), HasSubstr("a directory"));
}

TEST(Hparams, SetChangesOneValue) {
  Hparams hparams;
  set(hparams, "layers=4,5, 6");
  EXPECT_THAT(hparams.layers, ElementsAre(4, 5, 6));
  set(hparams, "layers=[7]");
  EXPECT_THAT(hparams.layers, ElementsAre(7));
  set(hparams, "rewrite_module_tmp=model.layers.{}.mlp.down_proj");
  EXPECT_EQ(hparams.rewrite_module_tmp, "model.layers.{}.mlp.down_proj");
  set(hparams, "v_lr=1e-1");
  EXPECT_EQ(hparams, (Hparams{.layers = {7}, .rewrite_module_tmp = "model.layers.{}.mlp.down_proj", .v_lr = 0.1}));
}

TEST(Hparams, SetThatChangesNothingIsRefused) {
  Hparams hparams;
  const auto message = [&](const char* assignment) { return message_of([&] { set(hparams, assignment); }); };
  EXPECT_THAT(message("v_lr"), AllOf(HasSubstr("no '='"), HasSubstr("--set v_lr")));
  EXPECT_THAT(message("vlr=1"), HasSubstr("nearest known one is 'v_lr'"));
  EXPECT_THAT(message("device=0"), HasSubstr("no effect"));
  EXPECT_THAT(message("v_lr="), HasSubstr("nothing"));
  EXPECT_THAT(message("layers=[1"), HasSubstr("--set layers=[1"));
  EXPECT_THAT(message("layers=4]"), HasSubstr("layers"));
  EXPECT_THAT(message("layers="), HasSubstr("layers"));
  EXPECT_EQ(hparams, Hparams{});
}

TEST(Hparams, ResolveFillsInModuleNamesAndTheLastLayerAsLossLayer) {
  const Hparams resolved = resolve({.layers = {13, 17}}, gpt2_xl, "h.yaml");
  EXPECT_EQ(resolved.v_loss_layer, 47);
  EXPECT_EQ(resolved.rewrite_module_tmp, "transformer.h.{}.mlp.c_proj");
  EXPECT_EQ(resolved.lm_head_module, "lm_head");
  EXPECT_EQ(resolve({.layers = {13}, .lm_head_module = "transformer.wte"}, gpt2_xl, "h").lm_head_module,
            "transformer.wte");
}

TEST(Hparams, LayersThatTheModelLacksOrThatRepeatAreRefused) {
  EXPECT_THAT(refusal_to_resolve({}, demo), HasSubstr("layers to edit"));
  EXPECT_THAT(refusal_to_resolve({.layers = {4, 30}}, demo),
              AllOf(HasSubstr("layers from 0 to 29"), HasSubstr("layer 30"), HasSubstr("30 layers")));
  EXPECT_THAT(refusal_to_resolve({.layers = {4, 5, 6, 7, 8, 8}}, demo), HasSubstr("layer 8 repeated"));
  EXPECT_THAT(refusal_to_resolve({.layers = {5, 4}}, demo), HasSubstr("ascending order"));
  EXPECT_THAT(refusal_to_resolve({.layers = {-1}}, demo), HasSubstr("layer -1"));
}

TEST(Hparams, LossLayerPastTheEndOrBeforeTheLastEditedLayerIsRefused) {
  EXPECT_THAT(
      refusal_to_resolve({.layers = {4}, .v_loss_layer = 31}, demo),
      AllOf(HasSubstr("expected a loss layer below 30"), HasSubstr("v_loss_layer 31"), HasSubstr("h.yaml")));
  EXPECT_THAT(refusal_to_resolve({.layers = {4, 8}, .v_loss_layer = 7}, demo), HasSubstr("at least 8"));
  EXPECT_EQ(resolve({.layers = {4, 8}, .v_loss_layer = 8}, demo, "h").v_loss_layer, 8);
}

TEST(Hparams, ModuleNamesOfAnotherFamilyAreRefused) {
  EXPECT_THAT(refusal_to_resolve({.layers = {4}, .rewrite_module_tmp = "transformer.h.{}.mlp.c_proj"}, demo),
              AllOf(HasSubstr("'model.layers.{}.mlp.down_proj'"), HasSubstr("'transformer.h.{}.mlp.c_proj'")));
  EXPECT_THAT(refusal_to_resolve({.layers = {4}, .ln_f_module = "model.norm"}, gpt2_xl),
              HasSubstr("ln_f_module 'transformer.ln_f'"));
}

TEST(Hparams, RatioThatLeavesNoAnchorIsRefused) {
  Hparams hparams{.layers = {4}};
  set(hparams, "anchor_ratio=0.001");
  EXPECT_THAT(refusal_to_resolve(hparams, demo), AllOf(HasSubstr("576 dimensions"), HasSubstr("0.001737")));
  set(hparams, "anchor_ratio=0.001737");
  EXPECT_NO_THROW(resolve(hparams, demo, "h.yaml"));
}

TEST(Hparams, AnEndOfTextThatTheModelDoesNotHaveIsRefused) {
  Hparams hparams{.layers = {4}};
  ModelConfig without = demo;
  without.eos_ids.clear();
  EXPECT_NO_THROW(resolve(hparams, without, "h.yaml"));
  set(hparams, "target_end=true");
  EXPECT_THAT(refusal_to_resolve(hparams, without), AllOf(HasSubstr("target_end: true"), HasSubstr("h.yaml")));
  without.eos_ids = {2};
  EXPECT_TRUE(resolve(hparams, without, "h.yaml").target_end);
}

TEST(Hparams, ARunOfAVersionWithoutMergedSubjectsContinuesWithoutThem) {
  EXPECT_TRUE(load("layers: [1]").hparams.merge_subjects);
  EXPECT_FALSE(load("merge_subjects: off").hparams.merge_subjects);
  EXPECT_FALSE(parse_recorded_hparams("layers: [1]", "run.yaml").merge_subjects);
  for (const bool merged : {true, false}) {
    Hparams now{.layers = {1}};
    now.merge_subjects = merged;
    EXPECT_EQ(parse_recorded_hparams(to_yaml(now), "run.yaml"), parse_hparams(to_yaml(now), "h.yaml").hparams);
  }
}

TEST(Hparams, DocumentationHasEveryKeyWithItsDefault) {
  const std::string page = tests::content_of(std::filesystem::path(tests::source_path()) / "docs/hparams.md");
  std::istringstream defaults(to_yaml({}));
  std::map<std::string, std::string> printed;
  for (std::string line; std::getline(defaults, line);) {
    const std::size_t colon = line.find(": ");
    printed[line.substr(0, colon)] = line.substr(colon + 2);
  }
  for (const HparamKey& key : hparam_keys()) {
    std::string value = printed.contains(std::string(key.name)) ? printed[std::string(key.name)] : "the family's";
    std::erase(value, '"');
    if (key.name == "layers") value = "none";
    EXPECT_THAT(page, HasSubstr(fmt::format("| `{}` | {} |", key.name, value))) << key.name;
  }
  for (const ForeignKey& key : foreign_keys()) {
    EXPECT_THAT(page, HasSubstr(fmt::format("| `{}` | {} |", key.name, key.reason)));
  }
}

}  // namespace
}  // namespace anchorage::io
