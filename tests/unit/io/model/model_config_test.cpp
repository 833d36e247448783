#include "io/model/model_config.hpp"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <filesystem>
#include <fstream>
#include <map>
#include <nlohmann/json.hpp>

#include "io/error.hpp"
#include "tests/support/temporary_directory.hpp"

namespace anchorage::io {
namespace {

using nlohmann::json;
using testing::ElementsAre;
using testing::HasSubstr;
using testing::IsEmpty;

// As transformers 5 writes LlamaConfig with Llama 3.2's rotary scaling and small sizes.
const json llama = json::parse(R"({
  "architectures": ["LlamaForCausalLM"], "attention_bias": false, "attention_dropout": 0.0, "bos_token_id": 128000,
  "dtype": "bfloat16", "eos_token_id": [128001, 128008, 128009], "head_dim": 16, "hidden_act": "silu",
  "hidden_size": 64, "initializer_range": 0.02, "intermediate_size": 96, "max_position_embeddings": 131072,
  "mlp_bias": false, "model_type": "llama", "num_attention_heads": 4, "num_hidden_layers": 3,
  "num_key_value_heads": 2, "pad_token_id": null, "pretraining_tp": 1, "rms_norm_eps": 1e-05,
  "rope_parameters": {"factor": 32.0, "high_freq_factor": 4.0, "low_freq_factor": 1.0,
                      "original_max_position_embeddings": 8192, "rope_theta": 500000.0, "rope_type": "llama3"},
  "tie_word_embeddings": true, "transformers_version": "5.23.0", "use_cache": true, "vocab_size": 128256})");

// As the hub has GPT-2 XL's, of 2019.
const json gpt2 = json::parse(R"({
  "activation_function": "gelu_new", "architectures": ["GPT2LMHeadModel"], "attn_pdrop": 0.1, "bos_token_id": 50256,
  "embd_pdrop": 0.1, "eos_token_id": 50256, "initializer_range": 0.02, "layer_norm_epsilon": 1e-05,
  "model_type": "gpt2", "n_ctx": 1024, "n_embd": 1600, "n_head": 25, "n_layer": 48, "n_positions": 1024,
  "output_past": true, "resid_pdrop": 0.1, "summary_activation": null, "summary_type": "cls_index",
  "task_specific_params": {"text-generation": {"do_sample": true, "max_length": 50}}, "vocab_size": 50257})");

// The family's file with some fields changed; null removes nothing, it is a value.
ModelConfig with(json config, const json& changes) {
  config.update(changes);
  return parse_model_config(config, "config.json");
}

ModelConfig without(json config, const std::string& field) {
  config.erase(field);
  return parse_model_config(config, "config.json");
}

std::string refusal_of(json config, const json& changes) {
  try {
    with(std::move(config), changes);
  } catch (const UserError& error) {
    return error.what();
  }
  return "accepted";
}

TEST(ModelConfig, ReadsLlama) {
  const ModelConfig config = parse_model_config(llama, "config.json");
  EXPECT_EQ(config.family, Family::llama);
  EXPECT_EQ(config.layers, 3);
  EXPECT_EQ(config.d_model, 64);
  EXPECT_EQ(config.d_ff, 96);
  EXPECT_EQ(config.heads, 4);
  EXPECT_EQ(config.kv_heads, 2);
  EXPECT_EQ(config.head_dim, 16);
  EXPECT_EQ(config.vocabulary, 128256);
  EXPECT_EQ(config.max_positions, 131072);
  EXPECT_DOUBLE_EQ(config.norm_epsilon, 1e-5);
  EXPECT_EQ(config.activation, Activation::silu);
  EXPECT_TRUE(config.tied_head);
  EXPECT_FALSE(config.qkv_bias);
  EXPECT_FALSE(config.attention_output_bias);
  EXPECT_THAT(config.windows, ElementsAre(0, 0, 0));
  EXPECT_FALSE(config.mlp_bias);
  EXPECT_EQ(config.bos_id, 128000);
  EXPECT_THAT(config.eos_ids, ElementsAre(128001, 128008, 128009));
  EXPECT_EQ(config.dtype, DType::bf16);
}

TEST(ModelConfig, ReadsGpt2) {
  const ModelConfig config = parse_model_config(gpt2, "config.json");
  EXPECT_EQ(config.family, Family::gpt2);
  EXPECT_EQ(config.layers, 48);
  EXPECT_EQ(config.d_model, 1600);
  EXPECT_EQ(config.d_ff, 6400) << "four times the width where n_inner is absent";
  EXPECT_EQ(config.heads, 25);
  EXPECT_EQ(config.kv_heads, 25);
  EXPECT_EQ(config.head_dim, 64);
  EXPECT_EQ(config.vocabulary, 50257);
  EXPECT_EQ(config.max_positions, 1024);
  EXPECT_DOUBLE_EQ(config.norm_epsilon, 1e-5);
  EXPECT_EQ(config.activation, Activation::gelu_new);
  EXPECT_TRUE(config.tied_head);
  EXPECT_TRUE(config.qkv_bias);
  EXPECT_TRUE(config.attention_output_bias);
  EXPECT_TRUE(config.mlp_bias);
  EXPECT_EQ(config.bos_id, 50256);
  EXPECT_THAT(config.eos_ids, ElementsAre(50256));
  EXPECT_EQ(config.dtype, std::nullopt);
}

// As the hub has GPT-J 6B's.
const json gptj = json::parse(R"({
  "activation_function": "gelu_new", "architectures": ["GPTJForCausalLM"], "attn_pdrop": 0.0, "bos_token_id": 50256,
  "embd_pdrop": 0.0, "eos_token_id": 50256, "gradient_checkpointing": false, "layer_norm_epsilon": 1e-05,
  "model_type": "gptj", "n_embd": 4096, "n_head": 16, "n_inner": null, "n_layer": 28, "n_positions": 2048,
  "rotary": true, "rotary_dim": 64, "scale_attn_weights": true, "tie_word_embeddings": false, "vocab_size": 50400})");

TEST(ModelConfig, ReadsGptJ) {
  const ModelConfig config = parse_model_config(gptj, "config.json");
  EXPECT_EQ(config.family, Family::gptj);
  EXPECT_EQ(config.d_ff, 16384) << "four times the width where n_inner is null";
  EXPECT_EQ(config.kv_heads, 16);
  EXPECT_EQ(config.head_dim, 256);
  EXPECT_EQ(config.rotary_dim, 64);
  EXPECT_DOUBLE_EQ(config.rope_theta, 10000.0);
  EXPECT_FALSE(config.qkv_bias);
  EXPECT_FALSE(config.attention_output_bias);
  EXPECT_TRUE(config.mlp_bias);
  EXPECT_FALSE(config.tied_head);
  EXPECT_THAT(config.unknown_keys, IsEmpty());
  EXPECT_EQ(without(gptj, "rotary_dim").rotary_dim, 64);
}

TEST(ModelConfig, RotaryPositionsTurnAnEvenPartOfAHead) {
  EXPECT_THAT(refusal_of(gptj, {{"rotary_dim", 63}}), HasSubstr("an even part of a head"));
  EXPECT_THAT(refusal_of(gptj, {{"rotary_dim", 512}}), HasSubstr("at most the 256 entries of a head"));
  EXPECT_THAT(refusal_of(gptj, {{"rotary", false}}), HasSubstr("'rotary' to be true"));
}

// As the hub has Gemma 2 2B's.
const json gemma2 = json::parse(R"({
  "architectures": ["Gemma2ForCausalLM"], "attention_bias": false, "attention_dropout": 0.0,
  "attn_logit_softcapping": 50.0, "bos_token_id": 2, "cache_implementation": "hybrid", "eos_token_id": 1,
  "final_logit_softcapping": 30.0, "head_dim": 256, "hidden_act": "gelu_pytorch_tanh",
  "hidden_activation": "gelu_pytorch_tanh", "hidden_size": 2304, "initializer_range": 0.02, "intermediate_size": 9216,
  "max_position_embeddings": 8192, "model_type": "gemma2", "num_attention_heads": 8, "num_hidden_layers": 26,
  "num_key_value_heads": 4, "pad_token_id": 0, "query_pre_attn_scalar": 256, "rms_norm_eps": 1e-06,
  "rope_theta": 10000.0, "sliding_window": 4096, "torch_dtype": "float32", "vocab_size": 256000})");

// As the hub has Gemma 3 4B's, with vision.
const json gemma3 = json::parse(R"({
  "architectures": ["Gemma3ForConditionalGeneration"], "boi_token_index": 255999, "eos_token_id": [1, 106],
  "model_type": "gemma3", "torch_dtype": "bfloat16",
  "text_config": {"hidden_size": 2560, "intermediate_size": 10240, "model_type": "gemma3_text",
                  "num_hidden_layers": 34, "rope_scaling": {"factor": 8.0, "rope_type": "linear"},
                  "sliding_window": 1024},
  "vision_config": {"hidden_size": 1152, "model_type": "siglip_vision_model"}})");

TEST(ModelConfig, ReadsGemma2) {
  const ModelConfig config = parse_model_config(gemma2, "config.json");
  EXPECT_EQ(config.family, Family::gemma2);
  EXPECT_EQ(config.head_dim, 256);
  EXPECT_EQ(config.activation, Activation::gelu_new);
  EXPECT_TRUE(config.tied_head);
  EXPECT_DOUBLE_EQ(config.query_scalar(), 256);
  EXPECT_DOUBLE_EQ(config.attention_cap, 50);
  EXPECT_DOUBLE_EQ(config.head_cap, 30);
  EXPECT_EQ(config.window_of(0), 4096);
  EXPECT_EQ(config.window_of(1), 0);
  EXPECT_DOUBLE_EQ(config.local_rope_theta, 0);
  EXPECT_THAT(config.unknown_keys, IsEmpty());
}

TEST(ModelConfig, ANullCapIsNoneAndAnAbsentOneTheDefault) {
  EXPECT_DOUBLE_EQ(with(gemma2, {{"attn_logit_softcapping", nullptr}}).attention_cap, 0);
  EXPECT_DOUBLE_EQ(without(gemma2, "final_logit_softcapping").head_cap, 30);
  EXPECT_THAT(refusal_of(gemma2, {{"use_bidirectional_attention", true}}),
              HasSubstr("'use_bidirectional_attention'"));
}

TEST(ModelConfig, ReadsTheTextModelOfGemma3WithVision) {
  const ModelConfig config = parse_model_config(gemma3, "config.json");
  EXPECT_EQ(config.family, Family::gemma3);
  EXPECT_EQ(config.layers, 34);
  EXPECT_EQ(config.d_model, 2560);
  EXPECT_EQ(config.heads, 8) << "this and the next: defaults of the class";
  EXPECT_EQ(config.kv_heads, 4);
  EXPECT_EQ(config.head_dim, 256);
  EXPECT_EQ(config.vocabulary, 262208);
  EXPECT_EQ(config.max_positions, 131072);
  EXPECT_DOUBLE_EQ(config.attention_cap, 0);
  EXPECT_DOUBLE_EQ(config.head_cap, 0);
  EXPECT_EQ(config.window_of(4), 1024);
  EXPECT_EQ(config.window_of(5), 0);
  EXPECT_DOUBLE_EQ(config.rope_theta, 1e6);
  EXPECT_EQ(config.rope_scaling.kind, RopeScaling::Kind::linear);
  EXPECT_DOUBLE_EQ(config.local_rope_theta, 10000.0);
  EXPECT_THAT(config.eos_ids, ElementsAre(1, 106));
  EXPECT_EQ(config.dtype, DType::bf16);
  EXPECT_THAT(config.unknown_keys, IsEmpty());
  EXPECT_THAT(refusal_of(gemma3, {{"text_config", nullptr}}), HasSubstr("the field 'text_config'"));
}

TEST(ModelConfig, ReadsASetOfRotaryParametersForEachKindOfLayer) {
  json text = gemma3["text_config"];
  text.erase("rope_scaling");
  text["rope_parameters"] = {{"full_attention", {{"rope_type", "linear"}, {"factor", 4.0}, {"rope_theta", 5000.0}}},
                             {"sliding_attention", {{"rope_type", "default"}, {"rope_theta", 70.0}}}};
  const ModelConfig config = parse_model_config(text, "config.json");
  EXPECT_DOUBLE_EQ(config.rope_theta, 5000.0);
  EXPECT_DOUBLE_EQ(config.rope_scaling.factor, 4.0);
  EXPECT_DOUBLE_EQ(config.local_rope_theta, 70.0);
  EXPECT_THAT(config.unknown_keys, IsEmpty());
  text["rope_parameters"]["sliding_attention"]["rope_type"] = "yarn";
  EXPECT_THAT(refusal_of(text, json::object()), HasSubstr("the rope type default"));
}

TEST(ModelConfig, NInnerMayBeNullOrGiven) {
  EXPECT_EQ(with(gpt2, {{"n_inner", nullptr}}).d_ff, 6400);
  EXPECT_EQ(with(gpt2, {{"n_inner", 100}}).d_ff, 100);
}

void expect_llama3_scaling(const ModelConfig& config) {
  EXPECT_DOUBLE_EQ(config.rope_theta, 500000.0);
  EXPECT_EQ(config.rope_scaling.kind, RopeScaling::Kind::llama3);
  EXPECT_DOUBLE_EQ(config.rope_scaling.factor, 32.0);
  EXPECT_DOUBLE_EQ(config.rope_scaling.low_freq_factor, 1.0);
  EXPECT_DOUBLE_EQ(config.rope_scaling.high_freq_factor, 4.0);
  EXPECT_EQ(config.rope_scaling.original_max_position_embeddings, 8192);
}

TEST(ModelConfig, RotaryScalingIsTheSameInAllThreeSpellings) {
  json scaling = llama["rope_parameters"];
  scaling.erase("rope_theta");
  json older = scaling;
  older.erase("rope_type");
  older["type"] = "llama3";
  const json none = nullptr;
  expect_llama3_scaling(parse_model_config(llama, "config.json"));
  expect_llama3_scaling(
      with(llama, {{"rope_parameters", none}, {"rope_scaling", scaling}, {"rope_theta", 500000.0}}));
  expect_llama3_scaling(
      with(llama, {{"rope_parameters", none}, {"rope_scaling", older}, {"rope_theta", 500000.0}}));
}

TEST(ModelConfig, RotaryScalingMayBeLinearOrNone) {
  const json none = nullptr;
  const ModelConfig linear = with(llama, {{"rope_parameters", {{"rope_type", "linear"}, {"factor", 2.0}}}});
  EXPECT_EQ(linear.rope_scaling.kind, RopeScaling::Kind::linear);
  EXPECT_DOUBLE_EQ(linear.rope_scaling.factor, 2.0);
  EXPECT_DOUBLE_EQ(linear.rope_theta, 10000.0);
  const ModelConfig plain = with(llama, {{"rope_parameters", {{"rope_type", "default"}, {"rope_theta", 7.0}}}});
  EXPECT_EQ(plain.rope_scaling.kind, RopeScaling::Kind::none);
  EXPECT_DOUBLE_EQ(plain.rope_theta, 7.0);
  const ModelConfig old = with(llama, {{"rope_parameters", none}, {"rope_scaling", none}, {"rope_theta", 8.0}});
  EXPECT_EQ(old.rope_scaling.kind, RopeScaling::Kind::none);
  EXPECT_DOUBLE_EQ(old.rope_theta, 8.0);
}

TEST(ModelConfig, AbsentFieldsTakeTheValuesOfTransformers) {
  EXPECT_EQ(without(llama, "num_key_value_heads").kv_heads, 4);
  EXPECT_EQ(without(llama, "head_dim").head_dim, 16);
  EXPECT_DOUBLE_EQ(without(llama, "rms_norm_eps").norm_epsilon, 1e-6);
  EXPECT_FALSE(without(llama, "tie_word_embeddings").tied_head);
  EXPECT_DOUBLE_EQ(without(llama, "rope_parameters").rope_theta, 10000.0);
  EXPECT_EQ(without(llama, "bos_token_id").bos_id, 1);
  EXPECT_THAT(without(llama, "eos_token_id").eos_ids, ElementsAre(2));
}

TEST(ModelConfig, NullTokenIdsMeanThatThereAreNone) {
  const ModelConfig config = with(llama, {{"bos_token_id", nullptr}, {"eos_token_id", nullptr}});
  EXPECT_EQ(config.bos_id, std::nullopt);
  EXPECT_THAT(config.eos_ids, IsEmpty());
}

TEST(ModelConfig, DtypeIsReadUnderBothNames) {
  EXPECT_EQ(with(gpt2, {{"torch_dtype", "float16"}}).dtype, DType::f16);
  EXPECT_EQ(with(gpt2, {{"dtype", "float32"}}).dtype, DType::f32);
  EXPECT_THAT(refusal_of(gpt2, {{"dtype", "float64"}}), HasSubstr("found 'float64'"));
}

TEST(ModelConfig, ActivationsAreReadInAllTheirSpellings) {
  EXPECT_EQ(with(gpt2, {{"activation_function", "gelu_pytorch_tanh"}}).activation, Activation::gelu_new);
  EXPECT_EQ(with(gpt2, {{"activation_function", "gelu"}}).activation, Activation::gelu);
  EXPECT_EQ(with(llama, {{"hidden_act", "swish"}}).activation, Activation::silu);
  EXPECT_THAT(refusal_of(llama, {{"hidden_act", "relu"}}), HasSubstr("found 'relu'"));
}

struct Refused {
  const json& family;
  json changes;
  std::string name;  // what the message must name
};

TEST(ModelConfig, OptionsThatAreNotImplementedAreRefusedByName) {
  const std::vector<Refused> all = {
      {gpt2, {{"model_type", "opt"}}, "'opt'"},
      {gpt2, {{"model_type", nullptr}}, "'model_type'"},
      {gpt2, {{"scale_attn_weights", false}}, "'scale_attn_weights'"},
      {gpt2, {{"scale_attn_by_inverse_layer_idx", true}}, "'scale_attn_by_inverse_layer_idx'"},
      {gpt2, {{"add_cross_attention", true}}, "'add_cross_attention'"},
      {llama, {{"use_sliding_window", true}}, "'use_sliding_window'"},
      {llama, {{"layer_types", {"full_attention", "sliding_attention", "full_attention"}}}, "'layer_types'"},
      {llama, {{"layer_types", {"full_attention", "chunked_attention", "full_attention"}}}, "'layer_types'"},
      {llama, {{"model_type", "qwen3_moe"}}, "a mixture of experts"},
      {llama, {{"model_type", "mixtral"}}, "a mixture of experts"},
      {llama, {{"num_local_experts", 8}}, "'num_local_experts': 8, a mixture of experts"},
      {llama, {{"quantization_config", {{"quant_method", "gptq"}}}}, "'gptq'"},
      {llama, {{"quantization_config", {{"quant_method", "awq"}}}}, "'awq'"},
      {llama, {{"quantization_config", {{"load_in_4bit", true}}}}, "'bitsandbytes'"},
      {gpt2, {{"attention_bias", true}}, "'attention_bias'"},
      {llama, {{"pruned_heads", {{"0", {1}}}}}, "'pruned_heads'"},
      {llama, {{"rope_interleaved", true}}, "'rope_interleaved'"},
      {llama, {{"sliding_window", 4096}}, "'sliding_window'"},
      {llama, {{"quantization_config", {{"bits", 4}}}}, "'quantization_config'"},
      {llama, {{"partial_rotary_factor", 0.5}}, "'partial_rotary_factor'"},
      {llama, {{"rope_parameters", {{"rope_type", "proportional"}}}}, "'proportional'"},
      {llama, {{"rope_parameters", {{"partial_rotary_factor", 0.5}}}}, "'partial_rotary_factor'"},
      {llama,
       {{"rope_parameters", {{"full_attention", {{"rope_type", "default"}}}}}},
       "one for each kind of layer"},
  };
  for (const Refused& refused : all) {
    EXPECT_THAT(refusal_of(refused.family, refused.changes), HasSubstr(refused.name));
    EXPECT_THAT(refusal_of(refused.family, refused.changes), HasSubstr("not implemented")) << refused.name;
  }
}

TEST(ModelConfig, OptionsAtTheirPlainValuesAreAccepted) {
  EXPECT_EQ(refusal_of(gpt2, {{"scale_attn_weights", true},
                              {"scale_attn_by_inverse_layer_idx", false},
                              {"add_cross_attention", false}}),
            "accepted");
  EXPECT_EQ(refusal_of(llama, {{"sliding_window", nullptr}, {"partial_rotary_factor", 1}}), "accepted");
  EXPECT_EQ(refusal_of(llama, {{"sliding_window", 4096},
                               {"use_sliding_window", false},
                               {"layer_types", {"full_attention", "full_attention", "full_attention"}}}),
            "accepted");
}

TEST(ModelConfig, KeysWithoutEffectAreAccepted) {
  EXPECT_THAT(with(llama, {{"pretraining_tp", 2}, {"max_sequence_length", 2048}}).unknown_keys, IsEmpty());
  EXPECT_THAT(with(gpt2, {{"reorder_and_upcast_attn", true}, {"n_ctx", 512}}).unknown_keys, IsEmpty());
}

TEST(ModelConfig, KeysThatAreNotKnownAreListedAndNotRefused) {
  json changes = {{"logit_scale", 0.5}, {"embedding_multiplier", 2}};
  changes["rope_scaling"] = {{"type", "linear"}, {"factor", 2.0}, {"alpha", 32}};
  EXPECT_THAT(with(llama, changes).unknown_keys,
              ElementsAre("embedding_multiplier", "logit_scale", "rope_scaling.alpha"));
  EXPECT_THAT(with(gpt2, {{"rms_norm_eps", 1e-6}}).unknown_keys, ElementsAre("rms_norm_eps"))
      << "a key of the other family";
}

TEST(ModelConfig, PositionsOfTheTrainingBesideTheRotaryParametersWinOverThoseInside) {
  EXPECT_EQ(with(llama, {{"original_max_position_embeddings", 4096}}).rope_scaling.original_max_position_embeddings,
            4096);
}

// What people bring: every file of the families under shared/data, among them dumps with sixty keys of the
// class's defaults.
TEST(ModelConfig, RealFilesHaveNoUnknownKeysOrAreRefusedByName) {
  const std::filesystem::path folder = ANCHORAGE_SOURCE_DIR "/../shared/data/configs";
  if (!std::filesystem::is_directory(folder)) GTEST_SKIP() << "no " << folder;
  std::map<std::string, int> read;
  for (const auto& entry : std::filesystem::directory_iterator(folder)) {
    const auto path = entry.path() / "config.json";
    std::ifstream file(path);
    const json content = json::parse(file);
    const std::string type = content.value("model_type", "");
    if (family_named(type) == nullptr) continue;
    if (content.contains("quantization_config")) {
      EXPECT_THAT(refusal_of(content, json::object()), HasSubstr("found the method 'fp8'")) << path;
    } else {
      EXPECT_THAT(read_model_config(path).unknown_keys, IsEmpty()) << path;
    }
    ++read[type];
  }
  EXPECT_GE(read["llama"], 14);
  EXPECT_GE(read["gpt2"], 2);
  EXPECT_GE(read["qwen2"], 5);
  EXPECT_GE(read["qwen3"], 3);
  EXPECT_GE(read["mistral"], 2);
  EXPECT_GE(read["phi3"], 2);
  EXPECT_GE(read["gptj"], 1);
  EXPECT_GE(read["gemma2"], 3);
  EXPECT_GE(read["gemma3_text"], 1);
  EXPECT_GE(read["gemma3"], 2);
}

// The oddities of published files of the families after LLaMA, with small sizes.

TEST(ModelConfig, ReadsQwen2WithAWindowThatIsNotInUse) {
  const json qwen2 = json::parse(R"({
    "architectures": ["Qwen2ForCausalLM"], "bos_token_id": 151643, "eos_token_id": 151645, "hidden_act": "silu",
    "hidden_size": 896, "intermediate_size": 4864, "max_position_embeddings": 32768, "max_window_layers": 1,
    "model_type": "qwen2", "num_attention_heads": 14, "num_hidden_layers": 2, "num_key_value_heads": 2,
    "rms_norm_eps": 1e-06, "rope_theta": 1000000.0, "sliding_window": 32768, "tie_word_embeddings": true,
    "torch_dtype": "bfloat16", "use_mrope": false, "use_sliding_window": false, "vocab_size": 151936})");
  const ModelConfig config = parse_model_config(qwen2, "config.json");
  EXPECT_EQ(config.family, Family::qwen2);
  EXPECT_EQ(config.head_dim, 64);
  EXPECT_TRUE(config.qkv_bias);
  EXPECT_FALSE(config.attention_output_bias);
  EXPECT_FALSE(config.mlp_bias);
  EXPECT_THAT(config.windows, ElementsAre(0, 0));
  EXPECT_THAT(config.unknown_keys, IsEmpty());
  EXPECT_THAT(with(qwen2, {{"use_sliding_window", true}}).windows, ElementsAre(0, 32768));
  EXPECT_THAT(refusal_of(qwen2, {{"use_mrope", true}}), HasSubstr("'use_mrope'"));
  EXPECT_EQ(without(qwen2, "bos_token_id").bos_id, std::nullopt) << "the class has none";
}

TEST(ModelConfig, ReadsQwen3AsTransformers457SavesIt) {
  const json qwen3 = json::parse(R"({
    "architectures": ["Qwen3ForCausalLM"], "attention_bias": false, "dtype": "float32", "eos_token_id": 151645,
    "head_dim": 128, "hidden_act": "silu", "hidden_size": 2560, "intermediate_size": 9728,
    "layer_types": ["full_attention", "full_attention"], "max_position_embeddings": 40960, "max_window_layers": 36,
    "model_type": "qwen3", "num_attention_heads": 32, "num_hidden_layers": 2, "num_key_value_heads": 8,
    "rms_norm_eps": 1e-06, "rope_scaling": null, "rope_theta": 1000000, "sliding_window": null,
    "tie_word_embeddings": true, "use_sliding_window": false, "vocab_size": 151936})");
  const ModelConfig config = parse_model_config(qwen3, "config.json");
  EXPECT_EQ(config.family, Family::qwen3);
  EXPECT_EQ(config.heads * config.head_dim, 4096) << "beside a width of 2560";
  EXPECT_EQ(config.dtype, DType::f32);
  EXPECT_DOUBLE_EQ(config.rope_theta, 1e6);
  EXPECT_FALSE(config.qkv_bias);
  EXPECT_THAT(config.windows, ElementsAre(0, 0));
  EXPECT_THAT(config.unknown_keys, IsEmpty());
  EXPECT_EQ(without(qwen3, "head_dim").head_dim, 128) << "the class's default, not 2560 / 32";
}

TEST(ModelConfig, ReadsMistralWithAndWithoutAWindow) {
  const json mistral = json::parse(R"({
    "bos_token_id": 1, "eos_token_id": 2, "hidden_act": "silu", "hidden_size": 64, "intermediate_size": 96,
    "max_position_embeddings": 32768, "model_type": "mistral", "num_attention_heads": 16, "num_hidden_layers": 2,
    "num_key_value_heads": 8, "rms_norm_eps": 1e-05, "rope_theta": 10000.0, "sliding_window": 4096,
    "tie_word_embeddings": false, "torch_dtype": "bfloat16", "vocab_size": 32000})");
  EXPECT_THAT(parse_model_config(mistral, "config.json").windows, ElementsAre(4096, 4096));
  EXPECT_THAT(with(mistral, {{"sliding_window", nullptr}}).windows, ElementsAre(0, 0));
  EXPECT_EQ(with(mistral, {{"head_dim", 128}}).head_dim, 128) << "Nemo: apart from the width";
  EXPECT_EQ(without(mistral, "num_key_value_heads").kv_heads, 8) << "the class's default";
  EXPECT_EQ(with(mistral, {{"num_key_value_heads", nullptr}}).kv_heads, 16);
}

TEST(ModelConfig, ReadsPhi3WithLongropeAndAPartOfEachHeadTurned) {
  const json phi3 = json::parse(R"({
    "attention_bias": false, "auto_map": {"AutoConfig": "configuration_phi3.Phi3Config"}, "bos_token_id": 1,
    "embd_pdrop": 0.0, "eos_token_id": 32000, "hidden_act": "silu", "hidden_size": 16, "intermediate_size": 24,
    "max_position_embeddings": 131072, "model_type": "phi3", "num_attention_heads": 2, "num_hidden_layers": 2,
    "num_key_value_heads": 2, "original_max_position_embeddings": 4096, "resid_pdrop": 0.0, "rms_norm_eps": 1e-05,
    "rope_scaling": {"long_factor": [1.07, 1.12, 1.5, 2.0], "short_factor": [1.0, 1.02, 1.1, 1.2],
                     "type": "longrope"},
    "rope_theta": 10000.0, "sliding_window": 262144, "tie_word_embeddings": false, "vocab_size": 32064})");
  const ModelConfig config = parse_model_config(phi3, "config.json");
  EXPECT_EQ(config.family, Family::phi3);
  EXPECT_EQ(config.rope_scaling.kind, RopeScaling::Kind::longrope);
  EXPECT_EQ(config.rope_scaling.original_max_position_embeddings, 4096);
  EXPECT_EQ(config.rope_scaling.long_factors.size(), 4U);
  EXPECT_THAT(config.windows, ElementsAre(262144, 262144));
  EXPECT_THAT(config.unknown_keys, IsEmpty());
  EXPECT_THAT(refusal_of(phi3, {{"attention_bias", true}}), HasSubstr("'attention_bias'"));
  EXPECT_THAT(refusal_of(phi3, {{"partial_rotary_factor", 0.75}}), HasSubstr("3 numbers in 'short_factor'"));
  EXPECT_EQ(with(phi3, {{"partial_rotary_factor", 0.75}, {"rope_scaling", nullptr}}).rotary_dim, 6);
}

TEST(ModelConfig, SizesThatCannotBeAreRefused) {
  const std::vector<Refused> all = {
      {gpt2, {{"n_head", 24}}, "a width that the 24 heads divide, found 1600"},
      {llama, {{"num_key_value_heads", 3}}, "the 3 key-value heads divide, found 4"},
      {llama, {{"head_dim", 15}}, "an even head size"},
      {llama, {{"num_hidden_layers", 0}}, "'num_hidden_layers'"},
      {llama, {{"num_hidden_layers", -1}}, "'num_hidden_layers'"},
      {llama, {{"num_hidden_layers", 2.5}}, "'num_hidden_layers'"},
      {llama, {{"num_hidden_layers", "3"}}, "'num_hidden_layers'"},
      {llama, {{"vocab_size", 4294967296}}, "'vocab_size'"},
      {llama, {{"vocab_size", 18446744073709551615U}}, "'vocab_size'"},
      {llama, {{"hidden_size", nullptr}}, "the field 'hidden_size', found none"},
      {llama, {{"rms_norm_eps", 0}}, "'rms_norm_eps'"},
      {llama, {{"tie_word_embeddings", 1}}, "'tie_word_embeddings'"},
      {llama, {{"eos_token_id", "x"}}, "'eos_token_id'"},
      {llama, {{"bos_token_id", {1, 2}}}, "one 'bos_token_id'"},
      {llama, {{"rope_parameters", 5}}, "'rope_parameters' of config.json"},
      {llama, {{"rope_parameters", {{"rope_type", "linear"}}}}, "the field 'factor', found none"},
  };
  for (const Refused& refused : all) {
    EXPECT_THAT(refusal_of(refused.family, refused.changes), HasSubstr(refused.name));
    EXPECT_THAT(refusal_of(refused.family, refused.changes), HasSubstr("config.json")) << refused.name;
  }
}

TEST(ModelConfig, HeadsMayBeWiderThanTheModel) {
  EXPECT_EQ(with(llama, {{"head_dim", 32}}).head_dim, 32);
}

TEST(ModelConfig, FileThatIsNotJsonIsRefusedWithItsPath) {
  const tests::TemporaryDirectory directory;
  for (const char* content : {"", "{", "[]", "{\"a\":1,\"a\":2}"}) {
    try {
      read_model_config(directory.write("config.json", content));
      FAIL() << "no exception for " << content;
    } catch (const UserError& error) {
      EXPECT_THAT(std::string(error.what()), HasSubstr("config.json"));
    }
  }
}

}  // namespace
}  // namespace anchorage::io
