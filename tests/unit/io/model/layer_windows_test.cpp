#include "io/model/layer_windows.hpp"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <nlohmann/json.hpp>

#include "tests/support/message_of.hpp"

namespace anchorage::io {
namespace {

using nlohmann::json;
using testing::ElementsAre;
using testing::HasSubstr;

std::vector<std::int64_t> windows(Family family, const json& config, std::int64_t layers = 4) {
  return read_windows(ConfigFields(config, "config.json"), traits_of(family), layers);
}

std::string windows_refusal(Family family, const json& config) {
  return tests::message_of([&] { windows(family, config); });
}

TEST(LayerWindows, MistralAndPhi3HaveOneInEveryLayerUnlessItIsNull) {
  EXPECT_THAT(windows(Family::mistral, {{"sliding_window", 8}}, 3), ElementsAre(8, 8, 8));
  EXPECT_THAT(windows(Family::mistral, {{"sliding_window", nullptr}}, 2), ElementsAre(0, 0));
  EXPECT_THAT(windows(Family::mistral, json::object(), 2), ElementsAre(4096, 4096)) << "the class's default";
  EXPECT_THAT(windows(Family::phi3, json::object(), 2), ElementsAre(0, 0));
  EXPECT_THAT(windows(Family::phi3, {{"sliding_window", 262144}}, 2), ElementsAre(262144, 262144));
}

// As Qwen2.5 is published: a window that is not in use.
TEST(LayerWindows, QwenHasOneInItsUpperLayersWhereItIsInUse) {
  json config = {{"sliding_window", 8}, {"use_sliding_window", false}, {"max_window_layers", 3}};
  EXPECT_THAT(windows(Family::qwen2, config), ElementsAre(0, 0, 0, 0));
  config["use_sliding_window"] = true;
  EXPECT_THAT(windows(Family::qwen2, config), ElementsAre(0, 0, 0, 8));
  config["max_window_layers"] = 0;
  EXPECT_THAT(windows(Family::qwen3, config), ElementsAre(8, 8, 8, 8));
  config["max_window_layers"] = 28;
  EXPECT_THAT(windows(Family::qwen3, config), ElementsAre(0, 0, 0, 0));
}

TEST(LayerWindows, LayerTypesDecideForQwen) {
  const json types = {"sliding_attention", "full_attention", "full_attention", "sliding_attention"};
  const json config = {
      {"sliding_window", 8}, {"use_sliding_window", true}, {"max_window_layers", 4}, {"layer_types", types}};
  EXPECT_THAT(windows(Family::qwen3, config), ElementsAre(8, 0, 0, 8));
  EXPECT_THAT(windows_refusal(Family::qwen3, {{"layer_types", types}}),
              HasSubstr("a 'sliding_window' that is in use"));
}

TEST(LayerWindows, LayerTypesHaveToAgreeWhereTransformersDoesNotReadThem) {
  const json local = {"sliding_attention", "sliding_attention", "sliding_attention", "sliding_attention"};
  const json mixed = {"sliding_attention", "full_attention", "full_attention", "sliding_attention"};
  EXPECT_THAT(windows(Family::mistral, {{"layer_types", local}}), ElementsAre(4096, 4096, 4096, 4096));
  EXPECT_THAT(windows_refusal(Family::mistral, {{"layer_types", mixed}}), HasSubstr("'layer_types'"));
  EXPECT_THAT(windows_refusal(Family::llama, {{"layer_types", local}}), HasSubstr("'layer_types'"));
}

TEST(LayerWindows, LayerTypesOfAnotherNumberOrNameAreRefused) {
  EXPECT_THAT(windows_refusal(Family::qwen3, {{"layer_types", {"full_attention"}}}),
              HasSubstr("a list of 4 names"));
  const json chunked = {"full_attention", "full_attention", "full_attention", "chunked_attention"};
  EXPECT_THAT(windows_refusal(Family::qwen3, {{"layer_types", chunked}}), HasSubstr("chunked_attention"));
}

}  // namespace
}  // namespace anchorage::io
