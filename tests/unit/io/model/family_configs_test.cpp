// What config.json of each family after LLaMA and GPT-2 says (model_config_test.cpp has what is the same in all).
#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <nlohmann/json.hpp>

#include "tests/unit/io/model/changed_config.hpp"

namespace anchorage::io {
namespace {

using nlohmann::json;
using testing::ElementsAre;
using testing::HasSubstr;
using testing::IsEmpty;

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

}  // namespace
}  // namespace anchorage::io
