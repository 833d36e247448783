#include "io/model/family.hpp"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

namespace anchorage::io {
namespace {

// As EasyEdit's files of hyper-parameters have them.
TEST(Family, NamesTheModulesOfTransformers) {
  const FamilyTraits& gpt2 = traits_of(Family::gpt2);
  EXPECT_EQ(edited_module(gpt2), "transformer.h.{}.mlp.c_proj");
  EXPECT_EQ(layer_module(gpt2), "transformer.h.{}");
  EXPECT_EQ(mlp_module(gpt2), "transformer.h.{}.mlp");
  EXPECT_EQ(attention_module(gpt2), "transformer.h.{}.attn");
  EXPECT_EQ(final_norm_module(gpt2), "transformer.ln_f");
  EXPECT_EQ(embedding_module(gpt2), "transformer.wte");
  const FamilyTraits& llama = traits_of(Family::llama);
  EXPECT_EQ(edited_module(llama), "model.layers.{}.mlp.down_proj");
  EXPECT_EQ(layer_module(llama), "model.layers.{}");
  EXPECT_EQ(mlp_module(llama), "model.layers.{}.mlp");
  EXPECT_EQ(attention_module(llama), "model.layers.{}.self_attn");
  EXPECT_EQ(final_norm_module(llama), "model.norm");
  EXPECT_EQ(embedding_module(llama), "model.embed_tokens");
  const FamilyTraits& gptj = traits_of(Family::gptj);
  EXPECT_EQ(edited_module(gptj), "transformer.h.{}.mlp.fc_out");
  EXPECT_EQ(attention_module(gptj), "transformer.h.{}.attn");
  const FamilyTraits& gemma3 = traits_of(Family::gemma3);
  EXPECT_EQ(edited_module(gemma3), "language_model.model.layers.{}.mlp.down_proj");
  EXPECT_EQ(adapted_module(gemma3), "model.language_model.layers.{}.mlp.down_proj");
}

TEST(Family, IsFoundByItsModelType) {
  for (const FamilyTraits& traits : families()) {
    EXPECT_EQ(family_named(traits.model_type), &traits);
    EXPECT_EQ(&traits_of(traits.family), &traits);
  }
  EXPECT_EQ(family_named("mamba"), nullptr);
  EXPECT_TRUE(family_names().starts_with("gpt2, llama, "));
}

TEST(Family, HasOneStyleOfPositions) {
  for (const FamilyTraits& traits : families()) {
    EXPECT_EQ(traits.names.position_embedding.empty(), traits.positions == PositionKind::rotary)
        << traits.model_type;
    const auto up = traits.names.up.size(), qkv = traits.names.qkv.size();
    EXPECT_TRUE(up == 1 || (traits.gated_mlp && up == 2)) << traits.model_type;
    EXPECT_TRUE(qkv == 1 || qkv == 3) << traits.model_type;
    EXPECT_EQ(traits.names.query_norm.empty(), traits.names.key_norm.empty()) << traits.model_type;
  }
}

}  // namespace
}  // namespace anchorage::io
