#include "io/model/lora_adapter.hpp"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <nlohmann/json.hpp>

#include "io/error.hpp"
#include "io/model/safetensors.hpp"
#include "tests/support/message_of.hpp"
#include "tests/support/small_model.hpp"
#include "tests/support/temporary_directory.hpp"

namespace anchorage::io {
namespace {

using testing::ElementsAre;
using testing::HasSubstr;
using tests::message_of;

class LoraAdapterTest : public testing::Test {
 protected:
  LoraAdapterTest() { tests::write_small_model(base_); }

  ModelDirectory base() const { return ModelDirectory::open(base_.path()); }
  nlohmann::json config() const {
    return nlohmann::json::parse(tests::content_of(out_.path() / "adapter_config.json"));
  }

  tests::TemporaryDirectory base_, out_;
  const LoraAdapter adapter_{.rank = 1, .layers = {{0, {.b = {2, 1, {1.5F, -2.0F}}, .a = {1, 2, {0.25F, 4.0F}}}}}};
};

TEST_F(LoraAdapterTest, IsReadAsItWasWritten) {
  write_lora_adapter(base(), out_.path(), adapter_);
  EXPECT_EQ(read_lora_adapter(base(), out_.path()), adapter_);
}

TEST_F(LoraAdapterTest, HasOneRankThatScalesByOneAndNamesTheEditedModules) {
  write_lora_adapter(base(), out_.path(), adapter_);
  EXPECT_EQ(config()["peft_type"], "LORA");
  EXPECT_EQ(config()["r"], config()["lora_alpha"]);
  EXPECT_EQ(config()["target_modules"], nlohmann::json::array({"down_proj"}));
  EXPECT_EQ(config()["layers_to_transform"], nlohmann::json::array({0}));
  EXPECT_EQ(config()["layers_pattern"], "layers");
  EXPECT_EQ(config()["fan_in_fan_out"], false);
  EXPECT_THAT(SafetensorsFile::open(out_.path() / "adapter_model.safetensors").names(),
              ElementsAre("base_model.model.model.layers.0.mlp.down_proj.lora_A.weight",
                          "base_model.model.model.layers.0.mlp.down_proj.lora_B.weight"));
}

TEST_F(LoraAdapterTest, OfGpt2NamesTheMlpsProjectionAndNotTheAttentions) {
  base_.write("config.json", R"({"model_type":"gpt2","n_layer":1,"n_embd":2,"n_head":1,"vocab_size":4,
                                 "n_positions":8})");
  write_lora_adapter(base(), out_.path(), adapter_);
  EXPECT_EQ(config()["target_modules"], nlohmann::json::array({"mlp.c_proj"}));
  EXPECT_EQ(config()["layers_pattern"], "h");
  EXPECT_EQ(config()["fan_in_fan_out"], true);
}

TEST_F(LoraAdapterTest, WithAnotherScaleIsRefused) {
  write_lora_adapter(base(), out_.path(), adapter_);
  auto changed = config();
  changed["lora_alpha"] = 2;
  out_.write("adapter_config.json", changed.dump());
  EXPECT_THAT(message_of<UserError>([&] { read_lora_adapter(base(), out_.path()); }),
              HasSubstr("\"lora_alpha\":2"));
}

TEST_F(LoraAdapterTest, WithMatricesOfAnotherRankIsNotWritten) {
  LoraAdapter wrong = adapter_;
  wrong.rank = 8;
  EXPECT_THROW(write_lora_adapter(base(), out_.path(), wrong), InternalError);
}

TEST(ServedRank, IsTheSmallestOfThoseThatVllmAccepts) {
  EXPECT_EQ(smallest_served_rank(0), 1);
  EXPECT_EQ(smallest_served_rank(1), 1);
  EXPECT_EQ(smallest_served_rank(9), 16);
  EXPECT_EQ(smallest_served_rank(257), 320);
  EXPECT_EQ(smallest_served_rank(512), 512);
  EXPECT_EQ(smallest_served_rank(513), std::nullopt);
}

}  // namespace
}  // namespace anchorage::io
