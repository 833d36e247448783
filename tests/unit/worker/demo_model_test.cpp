// The demo model against transformers, and the attention sink that it has; skipped where launch/quickstart has not
// put it.
#include <gtest/gtest.h>

#include "tests/support/corpus.hpp"
#include "tests/support/places.hpp"
#include "tests/unit/worker/model/golden_model.hpp"
#include "worker/editing/values/edit_group.hpp"
#include "worker/evaluation/score.hpp"
#include "worker/model/generate.hpp"
#include "worker/model/text_sequences.hpp"

namespace anchorage::worker {
namespace {

class DemoModel : public testing::Test {
 protected:
  void SetUp() override {
    std::ifstream file(tests::golden_path() + "/demo_model/reference.json");
    if (!file) GTEST_SKIP() << "the demo model is not here: launch/quickstart gets it";
    reference = nlohmann::json::parse(file);
    directory.emplace(io::ModelDirectory::open(reference["model"].get<std::string>()));
    tokenizer.emplace(io::Tokenizer::load(directory->tokenizer()));
    model = load_transformer(*directory);
  }

  nlohmann::json reference;
  std::optional<io::ModelDirectory> directory;
  std::optional<io::Tokenizer> tokenizer;
  Transformer model;
};

TEST_F(DemoModel, LogProbabilitiesAndTextsAreThoseOfTransformers) {
  for (const auto& example : reference["cases"]) {
    const TokenIds ids = tokenizer->encode(example["text"].get<std::string>());
    EXPECT_EQ(ids, example["ids"].get<TokenIds>());
    const Completion rest{.prompt = {ids.front()}, .completion = {ids.begin() + 1, ids.end()}};
    const auto score = score_completions(model, std::span(&rest, 1)).front();
    for (std::size_t i = 0; i < score.log_probabilities.size(); ++i) {
      EXPECT_NEAR(score.log_probabilities[i], example["log_probabilities"][i].get<double>(), 1e-3);
    }
    TokenIds greedy = generate(model, std::span(&ids, 1), {.max_new_tokens = 12, .stop_ids = {2}}).front();
    EXPECT_EQ(tokenizer->decode(greedy, {.skip_special_tokens = true}), example["greedy"].get<std::string>());
  }
}

// "Germany" is one token, the first of its prompt, where this model's residual stream is hundreds of times as long
// as elsewhere: the bare prompt is not used, and the update that would destroy the model is never made.
TEST_F(DemoModel, ASubjectAtTheFirstPositionIsEditedBehindAPrefix) {
  io::Hparams hparams;
  hparams.layers = {6, 8, 10, 12, 14};
  hparams.v_loss_layer = 29;
  const std::vector<std::int64_t> layers = {6, 8, 10, 12, 14};
  const PromptBuilder builder(*tokenizer);

  // Medians on general text, as the statistics have them.
  TextSequences text(tests::corpus, *tokenizer, 60);
  const TokenIds ids = *text.next();
  std::vector<PromptRow> everywhere;
  for (std::int64_t position = 1; position < 60; ++position) everywhere.push_back({ids, position, position});
  const auto limits =
      hparams.sink_ratio * std::get<0>(SubjectActivations(model, everywhere, layers).residual_norms().median(0));

  const io::Edit sink{.id = "s", .subject = "Germany", .prompt = "{} is a part of", .target = "Asia"};
  const io::Edit plain{.id = "p", .subject = "Germany", .prompt = "The capital of {} is", .target = "Bonn"};
  const Contexts contexts{.prefixes = {"", "It was a long day", "The people of the city"}, .wanted = 2};
  // Clamp, target and residual of an edit are of this length.
  const auto length = [&](const SinkLimits& any, const io::Edit& edit) {
    const auto groups = EditGroup::make(model, builder, contexts, any, hparams, {{edit}});
    return groups.front().residual_stream().norm().item<double>();
  };
  const double with_rule = length(limits, sink), usual = length(limits, plain);
  const double without_rule = length(torch::full({5}, 1e9), sink);
  EXPECT_LT(with_rule, 5 * usual);
  EXPECT_GT(without_rule, 5 * usual) << "the model has no sink: the test proves nothing";
}

}  // namespace
}  // namespace anchorage::worker
