// Models whose tensors and config.json disagree, against transformers (tests/golden/disagreeing_models.py).
#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <fstream>
#include <nlohmann/json.hpp>

#include "tests/support/message_of.hpp"
#include "tests/support/places.hpp"
#include "tests/unit/worker/model/golden_model.hpp"
#include "worker/model/forward.hpp"
#include "worker/model/tensor_names.hpp"

namespace anchorage::worker {
namespace {

using testing::ElementsAre;
using testing::HasSubstr;
using testing::IsEmpty;

const std::filesystem::path folder = std::filesystem::path(tests::golden_path()) / "disagreeing_models";

io::ModelDirectory model_of(const std::string& name) {
  return io::ModelDirectory::open(folder / name);
}

TEST(DisagreeingModels, GiveWhatTransformersGivesOrAreRefusedWhereItMakesUpTensors) {
  std::ifstream file(folder / "expected.json");
  const auto cases = nlohmann::json::parse(file);
  for (const auto& [name, expected] : cases.items()) {
    SCOPED_TRACE(name);
    const auto directory = model_of(name);
    if (expected.is_null()) {
      EXPECT_THAT(tests::message_of([&] { load_transformer(directory); }), HasSubstr("as config.json promises"));
      continue;
    }
    const Transformer model = load_transformer(directory);
    const auto rows = expected["rows"].get<std::vector<TokenIds>>();
    const ForwardPass pass(model, lay_out(rows, {}, torch::kCPU));
    const auto actual = next_token_log_probabilities(model, pass.blocks(0, model.layers(), pass.embed()));
    for (std::size_t row = 0; row < rows.size(); ++row) {
      const auto wanted = expected["log_probabilities"][row].get<std::vector<std::vector<double>>>();
      for (std::size_t t = 0; t < wanted.size(); ++t) {
        const auto position = pass.layout().packed(static_cast<std::int64_t>(row), static_cast<std::int64_t>(t));
        tests::expect_close(actual[position], torch::tensor(wanted[t], torch::kDouble), 1e-4);
      }
    }
  }
}

TEST(DisagreeingModels, WhatIsMissingIsNamed) {
  const auto refusal = [](const char* name) {
    return tests::message_of([&] { load_transformer(model_of(name)); });
  };
  EXPECT_THAT(refusal("attention_bias_missing"), HasSubstr("'model.layers.0.self_attn.q_proj.bias'"));
  EXPECT_THAT(refusal("mlp_bias_missing"), HasSubstr("'model.layers.0.mlp.gate_proj.bias'"));
  EXPECT_THAT(refusal("untied_without_head"), HasSubstr("'lm_head.weight'"));
}

TEST(DisagreeingModels, TensorsThatTheModelHasNoPlaceForAreListed) {
  const auto attention = unused_tensors(model_of("attention_bias_denied"));
  EXPECT_EQ(attention.size(), 8U) << "q, k, v and o of two layers";
  EXPECT_EQ(attention.front(), "model.layers.0.self_attn.k_proj.bias");
  EXPECT_EQ(unused_tensors(model_of("mlp_bias_denied")).size(), 6U);
  EXPECT_EQ(unused_tensors(model_of("layers_beyond")).size(), 9U);
  EXPECT_THAT(unused_tensors(model_of("unknown_tensors")),
              ElementsAre("model.layers.0.self_attn.q_norm.weight", "score.weight"));
  for (const char* name : {"gpt2_old_buffers", "llama_old_buffers", "llama_tied_with_the_same_head",
                           "llama_tied_with_another_head", "gpt2_without_prefix", "llama_without_prefix",
                           "gemma3_with_vision", "gemma3_with_vision_named_as_modules"}) {
    EXPECT_THAT(unused_tensors(model_of(name)), IsEmpty()) << name;
  }
  for (const std::string& name : tests::golden_model_names) {
    const auto directory = tests::golden_model(name).directory;
    EXPECT_THAT(unused_tensors(directory), IsEmpty()) << name;
    EXPECT_THAT(directory.config().unknown_keys, IsEmpty()) << name << ", as transformers 5 writes it";
  }
}

TEST(DisagreeingModels, TensorsOfATextModelBesideVisionAreNamedAsTransformersSavesThemOrAsItsModules) {
  EXPECT_EQ(down_projection_name(model_of("gemma3_with_vision"), 1),
            "language_model.model.layers.1.mlp.down_proj.weight");
  EXPECT_EQ(down_projection_name(model_of("gemma3_with_vision_named_as_modules"), 1),
            "model.language_model.layers.1.mlp.down_proj.weight");
}

TEST(DisagreeingModels, AHeadThatDiffersFromItsTiedEmbeddingIsTheModelsOwn) {
  EXPECT_TRUE(has_own_head(model_of("llama_tied_with_another_head")));
  EXPECT_TRUE(has_own_head(model_of("gpt2_tied_with_another_head")));
  EXPECT_FALSE(has_own_head(model_of("llama_tied_with_the_same_head")));
  EXPECT_FALSE(load_transformer(model_of("llama_tied_with_another_head")).config.tied_head);
}

}  // namespace
}  // namespace anchorage::worker
