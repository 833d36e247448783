// What is generated for edits against continuing one prompt after the other, and its figures against cases by hand.
#include "worker/evaluation/edit_generations.hpp"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <nlohmann/json.hpp>

#include "tests/support/message_of.hpp"
#include "tests/support/temporary_directory.hpp"
#include "tests/unit/worker/evaluation/asked_model.hpp"
#include "worker/evaluation/generation_metrics.hpp"
#include "worker/model/generate.hpp"

namespace anchorage::worker {
namespace {

using testing::AllOf;
using testing::HasSubstr;
using tests::message_of;

io::Edit edit_about(const std::string& subject) {
  return {.id = subject,
          .subject = subject,
          .prompt = "The CEO of {} is",
          .target = "Kelly Ortberg",
          .paraphrases = {subject + " is led by", "Who leads " + subject + "?\n"},
          .neighborhood = {{"The CEO of Nvidia is", "Jensen Huang"}},
          .portability = {{"The country of the CEO of " + subject + " is", "America", {"USA"}}}};
}

class EditGenerationsTest : public tests::AskedModel {
 protected:
  EditGenerations generations_on(int size, std::span<const io::Edit> edits, std::int64_t most,
                                 const Transformer& of) const {
    return measured(
        size, [&](const Communicators& ranks) { return generate_for_edits(of, prompts, edits, most, ranks); });
  }
  EditGenerations generations_on(int size, std::span<const io::Edit> edits, std::int64_t most) const {
    return generations_on(size, edits, most, model);
  }

  // Continues one prompt alone, and cuts the text off by hand.
  GeneratedText alone(const std::string& prompt, std::int64_t most, const Transformer& of) const {
    const TokenIds ids = prompts.prompt_ids(prompt);
    const std::vector<std::int32_t> stops(of.config.eos_ids.begin(), of.config.eos_ids.end());
    const auto produced = generate(of, std::span(&ids, 1), {.max_new_tokens = most, .stop_ids = stops}).front();
    const auto possible = std::min(most, of.config.max_positions - std::ssize(ids) + 1);
    GeneratedText expected{.text = tokenizer.decode(produced), .naturally_ended = std::ssize(produced) < possible};
    bool something = false;
    for (std::size_t i = 0; i < expected.text.size(); ++i) {
      const char byte = expected.text[i];
      if (something && (byte == '.' || byte == '\n'))
        return {.text = expected.text.substr(0, i), .naturally_ended = true};
      something = something || std::string_view(" \t\r\n\v\f").find(byte) == std::string_view::npos;
    }
    return expected;
  }
};

TEST_F(EditGenerationsTest, EveryPromptIsContinuedAsIfItWereAlone) {
  std::vector<io::Edit> edits;
  for (const char* subject : {"Boeing", "Nike", "Intel", "Starbucks", "Unilever", "A company of a longer name"})
    edits.push_back(edit_about(subject));
  // Ends at the last position, after fewer tokens than the others.
  std::string close = "It is";
  while (std::ssize(prompts.prompt_ids(close)) < model.config.max_positions - 5) close += " x";
  edits[2].paraphrases[0] = close;
  const EditGenerations found = generations_on(1, edits, 24);
  EXPECT_EQ(found.max_new_tokens, 24);
  EXPECT_FALSE(found.first_left_out);
  ASSERT_EQ(found.texts.size(), edits.size());
  for (std::size_t i = 0; i < edits.size(); ++i) {
    EXPECT_EQ(found.texts[i].prompt, alone(edits[i].model_prompt(), 24, model));
    for (std::size_t p = 0; p < 2; ++p)
      EXPECT_EQ(found.texts[i].paraphrases.at(p), alone(edits[i].paraphrases[p], 24, model));
    EXPECT_EQ(found.texts[i].neighborhood.at(0), alone(edits[i].neighborhood[0].prompt, 24, model));
    EXPECT_EQ(found.texts[i].portability.at(0), alone(edits[i].portability[0].prompt, 24, model));
  }
}

TEST_F(EditGenerationsTest, ATextEndsBeforeTheModelsEndOfText) {
  const std::vector<io::Edit> edits{edit_about("Boeing")};
  const TokenIds ids = prompts.prompt_ids(edits[0].model_prompt());
  const TokenIds said = generate(model, std::span(&ids, 1), {.max_new_tokens = 4}).front();
  Transformer ending = load_transformer(directory);
  ending.config.eos_ids = {said.at(3)};
  const auto found = generations_on(1, edits, 24, ending).texts.at(0).prompt.value();
  EXPECT_TRUE(found.naturally_ended);
  EXPECT_EQ(found, alone(edits[0].model_prompt(), 24, ending));
  ending.config.eos_ids = {said.at(0)};
  EXPECT_EQ(generations_on(1, edits, 24, ending).texts.at(0).prompt,
            (GeneratedText{.text = "", .naturally_ended = true}));
}

TEST_F(EditGenerationsTest, AnyNumberOfRanksGivesTheSame) {
  std::vector<io::Edit> edits;
  for (int i = 0; i < 9; ++i) edits.push_back(edit_about("Company " + std::to_string(i)));
  edits[4].paraphrases = {};
  edits[5].neighborhood = {{"led \xff by", "x"}};
  const EditGenerations one = generations_on(1, edits, 6);
  for (const int size : {2, 3, 5}) {
    const EditGenerations several = generations_on(size, edits, 6);
    EXPECT_EQ(several.texts, one.texts) << size << " ranks";
    ASSERT_TRUE(several.first_left_out);
    EXPECT_EQ(several.first_left_out->edit, "Company 5");
  }
  EXPECT_TRUE(generations_on(2, {}, 6).texts.empty());
}

TEST_F(EditGenerationsTest, APromptThatCannotBeContinuedIsLeftOutAndTheFirstIsNamed) {
  std::string longer = "It is";
  while (std::ssize(prompts.prompt_ids(longer)) <= model.config.max_positions) longer += " x";
  std::vector<io::Edit> edits{edit_about("Boeing"), edit_about("Nike")};
  edits[1].paraphrases = {longer, "Nike is led by"};
  edits[1].neighborhood = {{"led \xff by", "x"}};
  const EditGenerations found = generations_on(1, edits, 6);
  EXPECT_FALSE(found.texts[1].paraphrases.at(0));
  EXPECT_TRUE(found.texts[1].paraphrases.at(1));
  EXPECT_FALSE(found.texts[1].neighborhood.at(0));
  ASSERT_TRUE(found.first_left_out);
  EXPECT_EQ(found.first_left_out->edit, "Nike");
  EXPECT_THAT(found.first_left_out->reason, HasSubstr("at most the model's 128 positions"));
  const GenerationMetrics metrics = measure(edits, found);
  EXPECT_EQ(metrics.paraphrases.left_out, 1);
  EXPECT_EQ(metrics.paraphrases.exact.edits, 2);
  EXPECT_EQ(metrics.neighborhood.left_out, 1);
  EXPECT_EQ(metrics.neighborhood.exact.edits, 1);
}

OptionalText text(const std::string& said, bool ended = true) {
  return GeneratedText{.text = said, .naturally_ended = ended};
}

TEST(GenerationMetricsTest, AreMeansOverPromptsFirstAndEditsThen) {
  const std::vector<io::Edit> edits{edit_about("Boeing"), edit_about("Nike")};
  const EditGenerations generations{.texts = {{.prompt = text(" Kelly Ortberg"),
                                               .paraphrases = {text(" the Kelly Ortberg!"), text(" a man", false)},
                                               .neighborhood = {text(" Jensen Huang, who")},
                                               .portability = {text(" the USA")}},
                                              {.prompt = text(" It is Kelly Ortberg", false),
                                               .paraphrases = {text(" Kelly Ortbergs"), std::nullopt},
                                               .neighborhood = {std::nullopt},
                                               .portability = {text(" Americas")}}},
                                    .max_new_tokens = 5};
  const GenerationMetrics found = measure(edits, generations);
  EXPECT_EQ(found.prompts.exact.mean, 0.5);
  EXPECT_EQ(found.prompts.contained.mean, 1);
  EXPECT_EQ(found.prompts.naturally_ended.mean, 0.5);
  EXPECT_EQ(found.paraphrases.exact.mean, 0.25);
  EXPECT_EQ(found.paraphrases.exact.edits, 2);
  EXPECT_EQ(found.paraphrases.left_out, 1);
  EXPECT_EQ(found.neighborhood.exact.mean, 0);
  EXPECT_EQ(found.neighborhood.contained.mean, 1);
  EXPECT_EQ(found.neighborhood.contained.edits, 1);
  EXPECT_FALSE(found.neighborhood.contained.interval) << "of one edit";
  EXPECT_FALSE(found.neighborhood.same.mean) << "without a baseline";
  EXPECT_EQ(found.portability.exact.mean, 0.5) << "an alias is an answer";
  EXPECT_EQ(found.prompts.exact.interval, (Interval{.low = 0, .high = 1}));
  EXPECT_EQ(found.naturally_ended, 6.0 / 8);
}

class GenerationBaselineTest : public testing::Test {
 protected:
  nlohmann::json report() const {
    return {{"generation",
             {{"max_new_tokens", 5},
              {"prompts_digest", digest_of_prompts(edits)},
              {"texts",
               {{{"id", "Boeing"}, {"neighborhood", {"jensen huang"}}},
                {{"id", "Nike"}, {"neighborhood", {nullptr}}}}}}}};
  }
  GenerationBaseline read(const nlohmann::json& document) const {
    return {folder.write("before.json", document.dump()), edits, 5};
  }
  std::string refusal(const nlohmann::json& document) const {
    return message_of([&] { read(document); });
  }

  const tests::TemporaryDirectory folder;
  const std::vector<io::Edit> edits{edit_about("Boeing"), edit_about("Nike")};
};

TEST_F(GenerationBaselineTest, ComparesTheNeighborhoodsTextsOnceNormalized) {
  const GenerationBaseline baseline = read(report());
  EXPECT_EQ(baseline.neighborhood_text(0, 0), "jensen huang");
  EXPECT_EQ(baseline.neighborhood_text(1, 0), std::nullopt);
  EditGenerations generations{.texts = {{.prompt = text("x"),
                                         .paraphrases = {text("x"), text("x")},
                                         .neighborhood = {text(" Jensen Huang!")},
                                         .portability = {text("x")}}},
                              .max_new_tokens = 5};
  generations.texts.push_back(generations.texts.front());
  auto same = measure(edits, generations, &baseline).neighborhood.same;
  EXPECT_EQ(same.mean, 1);
  EXPECT_EQ(same.edits, 1) << "the other has no text in the baseline";
  generations.texts[0].neighborhood[0] = text(" Jensen");
  same = measure(edits, generations, &baseline).neighborhood.same;
  EXPECT_EQ(same.mean, 0);
}

TEST_F(GenerationBaselineTest, AReportOfAnythingElseIsRefused) {
  EXPECT_THAT(refusal({{"n", 2}}), AllOf(HasSubstr("eval --json --generate"), HasSubstr("without generations"),
                                         HasSubstr("before.json")));
  auto other = report();
  other["generation"]["texts"][1]["id"] = "Adidas";
  EXPECT_THAT(refusal(other), AllOf(HasSubstr("number 1 (from 0) being 'Nike'"), HasSubstr("found 'Adidas'")));
  other = report();
  other["generation"]["texts"].erase(1);
  EXPECT_THAT(refusal(other), AllOf(HasSubstr("the same 2 edits"), HasSubstr("found 1 edits")));
  other = report();
  other["generation"]["prompts_digest"] = "0";
  EXPECT_THAT(refusal(other), HasSubstr("after the same prompts"));
  other = report();
  other["generation"]["max_new_tokens"] = 6;
  EXPECT_THAT(refusal(other), HasSubstr("at most 5 new tokens"));
  other = report();
  other["generation"]["texts"][0].erase("neighborhood");
  EXPECT_THAT(refusal(other), HasSubstr("cannot be read"));
  other = report();
  other["generation"]["texts"][0]["neighborhood"] = nlohmann::json::array();
  EXPECT_THAT(refusal(other), HasSubstr("expected 1 neighborhood texts"));
}

}  // namespace
}  // namespace anchorage::worker
