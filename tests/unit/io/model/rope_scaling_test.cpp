#include "io/model/rope_scaling.hpp"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <cmath>
#include <nlohmann/json.hpp>

#include "tests/support/message_of.hpp"

namespace anchorage::io {
namespace {

using nlohmann::json;
using testing::ElementsAre;
using testing::HasSubstr;

RopeParameters scaling_in(const json& config, Family family = Family::qwen2) {
  return read_rope(ConfigFields(config, "config.json"), traits_of(family), 131072, 4);
}

std::string scaling_refusal(const json& config) {
  return tests::message_of([&] { scaling_in(config); });
}

// As Qwen2.5's model card says to add it.
TEST(RopeScaling, YarnHasTheAttentionFactorOfItsPaperUnlessOneIsGiven) {
  json yarn = {{"type", "yarn"}, {"factor", 4.0}, {"original_max_position_embeddings", 32768}};
  const RopeScaling scaling = scaling_in({{"rope_theta", 1000000.0}, {"rope_scaling", yarn}}).scaling;
  EXPECT_EQ(scaling.kind, RopeScaling::Kind::yarn);
  EXPECT_EQ(scaling.original_max_position_embeddings, 32768);
  EXPECT_DOUBLE_EQ(scaling.attention_factor, 0.1 * std::log(4.0) + 1.0);
  EXPECT_DOUBLE_EQ(scaling.beta_fast, 32.0);
  EXPECT_DOUBLE_EQ(scaling.beta_slow, 1.0);
  yarn["attention_factor"] = 1.5;
  EXPECT_DOUBLE_EQ(scaling_in({{"rope_scaling", yarn}}).scaling.attention_factor, 1.5);
}

// As Phi-3 mini 128k is published: the trained window beside the factors, no attention factor.
TEST(RopeScaling, LongropeHasFactorsForShortAndForLongTexts) {
  const json factors = {{"type", "longrope"}, {"short_factor", {1.0, 1.5}}, {"long_factor", {2, 40.5}}};
  const json config = {{"rope_scaling", factors}, {"original_max_position_embeddings", 4096}};
  for (const char* const type : {"longrope", "su", "yarn"}) {
    json named = config;
    named["rope_scaling"]["type"] = type;
    const RopeScaling scaling = scaling_in(named, Family::phi3).scaling;
    EXPECT_EQ(scaling.kind, RopeScaling::Kind::longrope) << type;
    EXPECT_THAT(scaling.short_factors, ElementsAre(1.0, 1.5));
    EXPECT_THAT(scaling.long_factors, ElementsAre(2.0, 40.5));
    EXPECT_EQ(scaling.original_max_position_embeddings, 4096);
    EXPECT_DOUBLE_EQ(scaling.attention_factor, std::sqrt(1 + std::log(32.0) / std::log(4096.0)));
  }
}

TEST(RopeScaling, LongropeWithAnotherNumberOfFactorsThanPairsIsRefused) {
  const json factors = {{"type", "longrope"}, {"short_factor", {1.0}}, {"long_factor", {2.0, 3.0}}};
  EXPECT_THAT(scaling_refusal({{"rope_scaling", factors}}), HasSubstr("expected 2 numbers in 'short_factor'"));
}

TEST(RopeScaling, DynamicChangesNothingWithinTheModelsPositions) {
  const RopeParameters rope =
      scaling_in({{"rope_scaling", {{"type", "dynamic"}, {"factor", 2.0}}}, {"rope_theta", 5e5}});
  EXPECT_EQ(rope.scaling.kind, RopeScaling::Kind::none);
  EXPECT_DOUBLE_EQ(rope.theta, 5e5);
}

}  // namespace
}  // namespace anchorage::io
