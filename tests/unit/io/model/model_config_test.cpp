#include "io/model/model_config.hpp"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <filesystem>
#include <fstream>
#include <map>
#include <nlohmann/json.hpp>

#include "io/error.hpp"
#include "tests/support/places.hpp"
#include "tests/support/temporary_directory.hpp"
#include "tests/unit/io/model/changed_config.hpp"

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
            "no error");
  EXPECT_EQ(refusal_of(llama, {{"sliding_window", nullptr}, {"partial_rotary_factor", 1}}), "no error");
  EXPECT_EQ(refusal_of(llama, {{"sliding_window", 4096},
                               {"use_sliding_window", false},
                               {"layer_types", {"full_attention", "full_attention", "full_attention"}}}),
            "no error");
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
  const std::filesystem::path folder = tests::source_path() + "/../shared/data/configs";
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
