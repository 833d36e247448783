#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <cmath>
#include <limits>
#include <numeric>

#include "io/error.hpp"
#include "tests/support/message_of.hpp"
#include "tests/support/temporary_directory.hpp"
#include "tests/unit/worker/model/golden_model.hpp"
#include "worker/model/forward.hpp"
#include "worker/model/generate.hpp"

namespace anchorage::worker {
namespace {

using testing::HasSubstr;
using tests::expect_close;
using tests::golden_model;

torch::Tensor tensor_of(const nlohmann::json& matrix) {
  const auto rows = matrix.get<std::vector<std::vector<double>>>();
  auto tensor = torch::empty({std::ssize(rows), std::ssize(rows.front())}, torch::kDouble);
  for (std::size_t i = 0; i < rows.size(); ++i)
    tensor[static_cast<std::int64_t>(i)] = torch::tensor(rows[i], torch::kDouble);
  return tensor;
}

class TransformerOfFamily : public testing::TestWithParam<std::string> {};

TEST_P(TransformerOfFamily, LogProbabilitiesEqualThoseOfTransformers) {
  const auto [directory, reference] = golden_model(GetParam());
  const Transformer model = load_transformer(directory);
  const auto rows = reference["rows"].get<std::vector<TokenIds>>();
  const ForwardPass pass(model, lay_out(rows, {}, torch::kCPU));
  const auto actual = next_token_log_probabilities(model, pass.blocks(0, model.layers(), pass.embed()));
  for (std::size_t row = 0; row < rows.size(); ++row) {
    const std::int64_t begin = pass.layout().row_begin[row];
    expect_close(actual.narrow(0, begin, std::ssize(rows[row])), tensor_of(reference["log_probabilities"][row]),
                 1e-4);
  }
}

TEST_P(TransformerOfFamily, KeysAreTheInputsOfTheDownProjection) {
  const auto [directory, reference] = golden_model(GetParam());
  const Transformer model = load_transformer(directory);
  const auto rows = reference["rows"].get<std::vector<TokenIds>>();
  const ForwardPass pass(model, lay_out(rows, {}, torch::kCPU));
  auto hidden = pass.embed();
  for (std::int64_t layer = 0; layer < model.layers(); ++layer) {
    const BlockOutput output = pass.block(layer, hidden);
    const auto expected = tensor_of(reference["keys"][std::to_string(layer)]);
    for (std::int64_t row = 0; row < pass.layout().rows; ++row) {
      const std::int64_t last = pass.layout().row_begin[static_cast<std::size_t>(row) + 1] - 1;
      expect_close(output.key[last], expected[row], 1e-4);
    }
    hidden = output.hidden;
  }
}

TEST_P(TransformerOfFamily, ASuffixWithItsCacheGivesWhatTheWholeRowGives) {
  const auto [directory, reference] = golden_model(GetParam());
  const Transformer model = load_transformer(directory, {.device = torch::kCPU, .dtype = torch::kDouble});
  // The last row is longer than the windows, before its suffix and after.
  std::vector<TokenIds> rows = {{5, 6, 7, 8, 9}, {10, 11, 12}, {13, 14, 15, 16, 17, 18, 19}, TokenIds(24)};
  std::iota(rows.back().begin(), rows.back().end(), 30);
  const std::vector<std::int64_t> first = {3, 1, 5, 13};
  const ForwardPass whole(model, lay_out(rows, {}, torch::kCPU)), suffix(model, lay_out(rows, first, torch::kCPU));
  auto hidden = whole.embed(), suffix_hidden = suffix.embed();
  for (std::int64_t layer = 0; layer < model.layers(); ++layer) {
    const BlockOutput output = whole.block(layer, hidden);
    const std::int64_t past = suffix.layout().past;
    auto zeros =
        torch::zeros({whole.layout().rows, past, model.config.kv_heads, model.config.head_dim}, torch::kDouble);
    AttentionCache cache{zeros.clone(), zeros.clone()};
    for (std::int64_t row = 0; row < whole.layout().rows; ++row) {
      for (std::int64_t t = 0; t < first[static_cast<std::size_t>(row)]; ++t) {
        cache.keys[row][t] = output.attention_keys[whole.layout().packed(row, t)];
        cache.values[row][t] = output.attention_values[whole.layout().packed(row, t)];
      }
    }
    suffix_hidden = suffix.block(layer, suffix_hidden, &cache).hidden;
    hidden = output.hidden;
  }
  for (std::int64_t row = 0; row < whole.layout().rows; ++row) {
    const auto last = std::ssize(rows[static_cast<std::size_t>(row)]) - 1;
    expect_close(suffix_hidden[suffix.layout().packed(row, last)], hidden[whole.layout().packed(row, last)], 1e-12);
  }
}

TEST_P(TransformerOfFamily, GreedyContinuationsEqualThoseOfTransformers) {
  const auto [directory, reference] = golden_model(GetParam());
  const Transformer model = load_transformer(directory);
  const auto rows = reference["rows"].get<std::vector<TokenIds>>();
  EXPECT_EQ(generate(model, rows, {.max_new_tokens = 8}), reference["greedy"].get<std::vector<TokenIds>>());
}

TEST_P(TransformerOfFamily, Bfloat16IsAsNearFloat32AsThatOfTransformers) {
  const auto [directory, reference] = golden_model(GetParam());
  const Transformer rounded = load_transformer(directory, {.device = torch::kCPU, .dtype = torch::kBFloat16});
  const auto rows = reference["rows"].get<std::vector<TokenIds>>();
  const ForwardPass pass(rounded, lay_out(rows, {}, torch::kCPU));
  const auto actual = next_token_log_probabilities(rounded, pass.blocks(0, rounded.layers(), pass.embed()));
  for (std::size_t row = 0; row < rows.size(); ++row) {
    const std::int64_t begin = pass.layout().row_begin[row];
    expect_close(actual.narrow(0, begin, std::ssize(rows[row])), tensor_of(reference["log_probabilities"][row]),
                 reference["bf16"].get<double>());
  }
}

INSTANTIATE_TEST_SUITE_P(Families, TransformerOfFamily, testing::ValuesIn(tests::golden_model_names),
                         [](const auto& name) { return name.param; });

TEST(Generate, TheSameSeedGivesTheSameTokensAndAnotherSeedOthers) {
  const Transformer model = load_transformer(golden_model("llama_tied").directory);
  const std::vector<TokenIds> prompts = {{5, 6, 7}, {8}};
  const auto drawn = [&](std::uint64_t seed) {
    return generate(model, prompts, {.max_new_tokens = 20, .temperature = 2.0, .top_p = 0.95, .seed = seed});
  };
  EXPECT_EQ(drawn(1), drawn(1));
  EXPECT_NE(drawn(1), drawn(2));
}

TEST(Generate, TopKOneIsGreedyAtAnyTemperature) {
  const Transformer model = load_transformer(golden_model("llama_tied").directory);
  const std::vector<TokenIds> prompts = {{5, 6, 7}};
  EXPECT_EQ(generate(model, prompts, {.max_new_tokens = 6, .temperature = 5.0, .top_k = 1}),
            generate(model, prompts, {.max_new_tokens = 6}));
}

TEST(LoadTransformer, NamesATensorOfAnotherShapeThanTheConfigSays) {
  const auto folder = std::filesystem::temp_directory_path() / "anchorage-wrong-shape";
  std::filesystem::remove_all(folder);
  std::filesystem::copy(golden_model("gpt2").directory.path(), folder);
  std::ifstream in(folder / "config.json");
  auto config = nlohmann::json::parse(in);
  config["n_inner"] = 64;
  std::ofstream(folder / "config.json") << config;
  try {
    load_transformer(io::ModelDirectory::open(folder));
    FAIL() << "no error";
  } catch (const io::UserError& error) {
    EXPECT_NE(std::string(error.what()).find("h.0.mlp.c_fc.weight"), std::string::npos) << error.what();
  }
  std::filesystem::remove_all(folder);
}

// The model with one value of one tensor overwritten.
class LoadOneValue : public testing::Test {
 protected:
  std::string refusal(const std::string& name, float value, std::optional<torch::ScalarType> dtype = std::nullopt) {
    const auto original = golden_model("llama_tied").directory.path();
    std::filesystem::remove_all(folder.path() / "model");
    std::filesystem::copy(original, folder.path() / "model");
    const auto file = folder.path() / "model" / "model.safetensors";
    const auto opened = io::SafetensorsFile::open(file);
    const auto place = opened.at(name).bytes.data() - opened.bytes().data();
    std::fstream(file, std::ios::in | std::ios::out | std::ios::binary)
        .seekp(place + 4 * 37)
        .write(reinterpret_cast<const char*>(&value), sizeof value);
    return tests::message_of([&] {
      load_transformer(io::ModelDirectory::open(folder.path() / "model"), {.device = torch::kCPU, .dtype = dtype});
    });
  }

  const tests::TemporaryDirectory folder;
};

TEST_F(LoadOneValue, NotANumberAndInfinityAreNamedWithTensorFileAndPlace) {
  const std::string name = "model.layers.2.mlp.up_proj.weight";  // [80, 32]
  const std::string where = "in tensor '" + name + "' of " + (folder.path() / "model/model.safetensors").string();
  EXPECT_THAT(refusal(name, std::numeric_limits<float>::quiet_NaN()),
              HasSubstr("expected finite weights, found nan at [1, 5], " + where));
  EXPECT_THAT(refusal("model.embed_tokens.weight", -HUGE_VALF), HasSubstr("found -inf at [1, 5]"));
  EXPECT_EQ(refusal(name, 1e30F), "no error");
}

TEST_F(LoadOneValue, AValueThatTheAskedDtypeCannotHoldIsNamedWithARemedy) {
  const std::string name = "model.layers.0.self_attn.q_proj.weight";
  const std::string message = refusal(name, 70000, torch::kHalf);
  EXPECT_THAT(message, HasSubstr("expected weights that F16 can hold, found 70000 at [1, 5]"));
  EXPECT_THAT(message, HasSubstr("--dtype"));
  EXPECT_EQ(refusal(name, 70000, torch::kBFloat16), "no error");
  EXPECT_EQ(refusal(name, 70000), "no error");
}

TEST(Generate, EndsAtTheLastPosition) {
  const Transformer model = load_transformer(golden_model("gpt2").directory);  // 128 positions
  const std::vector<TokenIds> prompts = {TokenIds(120, 5), {6}};
  const auto rows = generate(model, prompts, {.max_new_tokens = 50});
  EXPECT_EQ(rows[0].size(), 9U) << "the last token takes no position";
  EXPECT_EQ(rows[1].size(), 9U);
  EXPECT_EQ(generate(model, std::vector<TokenIds>{TokenIds(128, 5)}, {.max_new_tokens = 50}).front().size(), 1U);
}

}  // namespace
}  // namespace anchorage::worker
