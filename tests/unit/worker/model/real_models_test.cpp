// Real trained models with reference activations that others computed (../shared/data/INDEX.md); skipped where they
// are not.
#include <gtest/gtest.h>
#include <openssl/evp.h>

#include "tests/support/places.hpp"
#include "tests/unit/worker/model/golden_model.hpp"
#include "worker/evaluation/score.hpp"
#include "worker/model/forward.hpp"
#include "worker/model/generate.hpp"

namespace anchorage::worker {
namespace {

using tests::expect_close;

const std::filesystem::path models =
    std::filesystem::path(tests::source_path()) / ".." / "shared" / "data" / "models";

nlohmann::json read_json(const std::filesystem::path& path) {
  std::ifstream file(path);
  return nlohmann::json::parse(file);
}

// Of a LLaMA-architecture model trained on stories; the reference is a forward pass in float64 Python.
class Stories : public testing::Test {
 protected:
  void SetUp() override {
    if (!std::filesystem::exists(folder)) GTEST_SKIP() << "no " << folder << ": the shared data is not here";
    reference = read_json(folder / "reference.json");
    model = load_transformer(io::ModelDirectory::open(folder));
  }

  const std::filesystem::path folder = models / "stories260K-hf";
  nlohmann::json reference;
  Transformer model;
};

TEST_F(Stories, LossesOfThePromptsTokens) {
  for (const auto& example : reference["cases"]) {
    const auto ids = example["input_ids"].get<TokenIds>();
    const Completion rest{.prompt = {ids.front()}, .completion = {ids.begin() + 1, ids.end()}};
    const auto score = score_completions(model, std::span(&rest, 1)).front();
    for (std::size_t i = 0; i < score.log_probabilities.size(); ++i) {
      EXPECT_NEAR(-score.log_probabilities[i], example["prompt_token_nll"][i].get<double>(), 1e-4);
    }
  }
}

TEST_F(Stories, KeysAndWhatTheEditedMatrixMakesOfThem) {
  for (const auto& example : reference["cases"]) {
    const auto ids = example["input_ids"].get<TokenIds>();
    const ForwardPass pass(model, lay_out(std::span(&ids, 1), {}, torch::kCPU));
    auto hidden = pass.embed();
    for (const auto& trace : example["mlp_trace_last_token"]) {
      const std::int64_t layer = trace["layer"];
      const BlockOutput output = pass.block(layer, hidden);
      const auto key = torch::tensor(trace["down_proj_input"].get<std::vector<double>>(), torch::kDouble);
      const auto written = torch::tensor(trace["down_proj_output"].get<std::vector<double>>(), torch::kDouble);
      expect_close(output.key[-1], key, 1e-4);
      expect_close(at::mv(model.blocks[static_cast<std::size_t>(layer)].down.weight, output.key[-1]), written,
                   1e-4);
      hidden = output.hidden;
    }
    const auto logits = torch::tensor(example["last_prompt_logits"].get<std::vector<double>>(), torch::kDouble);
    expect_close(next_token_log_probabilities(model, hidden)[-1], at::log_softmax(logits, -1), 1e-4);
  }
}

TEST_F(Stories, GreedyContinuation) {
  for (const auto& example : reference["cases"]) {
    const auto ids = example["input_ids"].get<TokenIds>();
    const auto whole = example["greedy_ids"].get<TokenIds>();
    const TokenIds expected(whole.begin() + std::ssize(ids), whole.end());
    EXPECT_EQ(generate(model, std::span(&ids, 1), {.max_new_tokens = std::ssize(expected)}).front(), expected);
  }
}

torch::Tensor decoded(const nlohmann::json& stored) {
  const std::string text = stored["data"];
  std::vector<unsigned char> bytes(text.size());
  EVP_DecodeBlock(bytes.data(), reinterpret_cast<const unsigned char*>(text.data()), static_cast<int>(text.size()));
  return torch::from_blob(bytes.data(), stored["shape"].get<std::vector<std::int64_t>>(), torch::kFloat).clone();
}

// A minGPT (GPT-2's architecture, three layers) with the activations that its publisher computed.
TEST(NanoSort, ActivationsOfEveryBlock) {
  if (!std::filesystem::exists(models)) GTEST_SKIP() << "no " << models << ": the shared data is not here";
  const auto stored = read_json(models / "gpt-nano-sort-model.json"),
             expected = read_json(models / "gpt-nano-sort-t0-partials.json");
  const auto weight = [&](const std::string& name) { return decoded(stored[name]); };
  const auto norm = [&](const std::string& name) -> Norm {
    return {weight(name + ".weight"), weight(name + ".bias")};
  };
  const auto linear = [&](const std::string& name) -> Linear {
    return {weight(name + ".weight"), weight(name + ".bias")};
  };

  Transformer model;
  model.config.family = io::Family::gpt2;
  model.config.layers = 3;
  model.config.d_model = 48;
  model.config.heads = model.config.kv_heads = 3;
  model.config.head_dim = 16;
  model.config.norm_epsilon = 1e-5;
  model.config.activation = io::Activation::gelu_new;
  model.token_embedding = weight("transformer.wte.weight");
  model.position_embedding = weight("transformer.wpe.weight");
  model.final_norm = norm("transformer.ln_f");
  model.head = weight("lm_head.weight");
  for (int layer = 0; layer < 3; ++layer) {
    const std::string block = "transformer.h." + std::to_string(layer) + ".";
    model.blocks.push_back({.attention_norm = norm(block + "ln_1"),
                            .query_key_value = linear(block + "attn.c_attn"),
                            .query_norm = {},
                            .key_norm = {},
                            .attention_output = linear(block + "attn.c_proj"),
                            .attention_post_norm = {},
                            .mlp_norm = norm(block + "ln_2"),
                            .up = linear(block + "mlp.c_fc"),
                            .down = linear(block + "mlp.c_proj"),
                            .mlp_post_norm = {}});
  }

  const auto indices = decoded(expected["idx"]);
  std::vector<TokenIds> rows(3);
  for (std::int64_t row = 0; row < 3; ++row) {
    for (std::int64_t t = 0; t < 11; ++t)
      rows[static_cast<std::size_t>(row)].push_back(indices[row][t].item<int>());
  }
  const ForwardPass pass(model, lay_out(rows, {}, torch::kCPU));
  auto hidden = pass.embed();
  expect_close(hidden.view({3, 11, 48}), decoded(expected["x"]), 1e-5);
  for (std::int64_t layer = 0; layer < 3; ++layer) {
    const BlockOutput output = pass.block(layer, hidden);
    if (layer == 0) expect_close(output.key.view({3, 11, 192}), decoded(expected["gelu"]), 1e-4);
    expect_close(output.hidden.view({3, 11, 48}), decoded(expected["block" + std::to_string(layer)]), 1e-4);
    hidden = output.hidden;
  }
  expect_close(next_token_log_probabilities(model, hidden).exp().view({3, 11, 3}), decoded(expected["probs"]),
               1e-4);
}

}  // namespace
}  // namespace anchorage::worker
