// What an evaluation could not measure has no value, and what it left out is counted.
#include "worker/evaluation/edit_metrics.hpp"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "tests/unit/worker/evaluation/asked_model.hpp"
#include "worker/evaluation/text_loss.hpp"
#include "worker/model/generate.hpp"

namespace anchorage::worker {
namespace {

using testing::ElementsAre;
using testing::HasSubstr;
using testing::IsEmpty;

class EditMetricsTest : public tests::AskedModel {
 protected:
  EditMetrics metrics(const std::vector<io::Edit>& edits, int size = 1) const {
    return measured(size, [&](const Communicators& ranks) { return evaluate_edits(model, prompts, edits, ranks); });
  }
  TextLoss loss(const std::vector<TokenIds>& sequences, int size) const {
    return measured(size, [&](const Communicators& ranks) { return loss_on_sequences(model, sequences, ranks); });
  }

  static io::Edit edit(const std::string& id) {
    return {.id = id, .subject = "Boeing", .prompt = "The CEO of {} is", .target = "Kelly Ortberg"};
  }
  static std::string too_long() {
    std::string text = "It is";
    for (int i = 0; i < 300; ++i) text += " x";
    return text;
  }
};

TEST_F(EditMetricsTest, WithoutAnOldAnswerNothingIsCompared) {
  const EditMetrics found = metrics({edit("a"), edit("b")});
  EXPECT_EQ(found.efficacy.edits, 2);
  EXPECT_TRUE(found.efficacy.accuracy.has_value());
  EXPECT_FALSE(found.efficacy.success || found.efficacy.magnitude || found.score);
  EXPECT_FALSE(found.paraphrase.accuracy || found.neighborhood.accuracy) << "there are no such prompts";
  EXPECT_THAT(found.score_of, IsEmpty());
}

TEST_F(EditMetricsTest, TheScoreIsOfWhatWasCompared) {
  io::Edit with_neighbor = edit("a");
  with_neighbor.neighborhood = {{"The CEO of Nvidia is", "Jensen Huang"}};
  const EditMetrics found = metrics({with_neighbor});
  EXPECT_THAT(found.score_of, ElementsAre("neighborhood"));
  EXPECT_EQ(found.score, found.neighborhood.success);

  with_neighbor.ground_truth = "Dave Calhoun";
  EXPECT_THAT(metrics({with_neighbor}).score_of, ElementsAre("efficacy", "neighborhood"));
}

TEST_F(EditMetricsTest, APromptThatCannotBeScoredWithBothAnswersIsLeftOutAndTheFirstIsNamed) {
  io::Edit sound = edit("a"), longer = edit("b"), answer_too_long = edit("c");
  sound.paraphrases = {"Boeing is led by"};
  longer.paraphrases = {"Boeing is led by", too_long(), too_long()};
  answer_too_long.ground_truth = too_long();
  for (const int size : {1, 2}) {
    const EditMetrics found = metrics({sound, longer, answer_too_long}, size);
    EXPECT_EQ(found.paraphrase.edits, 2);
    EXPECT_EQ(found.paraphrase.left_out, 2);
    EXPECT_EQ(found.efficacy.edits, 2);
    EXPECT_EQ(found.efficacy.left_out, 1);
    ASSERT_TRUE(found.first_left_out);
    EXPECT_EQ(found.first_left_out->edit, "b");
    EXPECT_THAT(found.first_left_out->reason, HasSubstr("at most the model's 128 positions"));
  }
  EXPECT_FALSE(metrics({sound}).first_left_out);
}

TEST_F(EditMetricsTest, APromptThatCannotBeEncodedIsLeftOut) {
  io::Edit broken = edit("broken");
  broken.paraphrases = {"led \xff by"};
  const EditMetrics found = metrics({broken});
  EXPECT_EQ(found.paraphrase.left_out, 1);
  EXPECT_FALSE(found.paraphrase.accuracy);
  EXPECT_EQ(found.efficacy.edits, 1);
  EXPECT_THAT(found.first_left_out->reason, HasSubstr("UTF-8"));
}

TEST_F(EditMetricsTest, WhatFollowsFromAnEditHasAnAccuracyAndNoPartInTheScore) {
  std::vector<io::Edit> edits{edit("a"), edit("b")};
  // One token that the model itself says next, and one that it does not.
  const TokenIds asked = prompts.prompt_ids("The home of the CEO is");
  const TokenIds said = generate(model, std::span(&asked, 1), {.max_new_tokens = 1}).front();
  const std::string answer = tokenizer.decode(said);
  const bool is_accurate = prompts.target_ids("The home of the CEO is", answer) == said;
  edits[0].portability = {{"The home of the CEO is", answer}, {too_long(), "x"}};
  edits[1].portability = {{"The home of the CEO is", "neverland"}};
  for (const int size : {1, 2, 3}) {
    const EditMetrics found = metrics(edits, size);
    EXPECT_EQ(found.portability.edits, 2);
    EXPECT_EQ(found.portability.left_out, 1);
    EXPECT_EQ(found.portability.accuracy, is_accurate ? 0.5 : 0.0);
    EXPECT_FALSE(found.portability.success || found.portability.magnitude);
    EXPECT_THAT(found.score_of, IsEmpty());
    ASSERT_TRUE(found.first_left_out);
    EXPECT_EQ(found.first_left_out->edit, "a");
  }
}

TEST_F(EditMetricsTest, IntervalsAreThoseOfTheEditsValuesOnAnyNumberOfRanks) {
  std::vector<io::Edit> edits;
  for (int i = 0; i < 21; ++i) {
    edits.push_back(edit("edit " + std::to_string(i)));
    edits.back().subject = "Company " + std::to_string(i);
    edits.back().ground_truth = i % 2 == 0 ? "Dave Calhoun" : "in Berlin";
    if (i % 3 == 0) edits.back().neighborhood = {{"The CEO of Nvidia " + std::to_string(i), "Jensen Huang"}};
  }
  const EditMetrics one = metrics(edits);
  std::vector<double> successes, magnitudes;
  for (const io::Edit& alone : edits) {
    const EditMetrics found = metrics({alone});
    EXPECT_FALSE(found.efficacy.success_interval || found.score_interval) << "of one edit there is no interval";
    successes.push_back(found.efficacy.success.value());
    magnitudes.push_back(found.efficacy.magnitude.value());
  }
  EXPECT_EQ(one.efficacy.success_interval, bootstrap_mean(successes));
  ASSERT_TRUE(one.efficacy.magnitude_interval && one.neighborhood.success_interval && one.score_interval);
  EXPECT_NEAR(one.efficacy.magnitude_interval->low, bootstrap_mean(magnitudes)->low, 1e-6);
  EXPECT_NEAR(one.efficacy.magnitude_interval->high, bootstrap_mean(magnitudes)->high, 1e-6);
  EXPECT_LE(one.score_interval->low, one.score.value());
  EXPECT_GE(one.score_interval->high, one.score.value());
  EXPECT_FALSE(one.paraphrase.success_interval);
  for (const int size : {2, 3}) {
    const EditMetrics several = metrics(edits, size);
    EXPECT_EQ(several.efficacy.success_interval, one.efficacy.success_interval);
    EXPECT_EQ(several.efficacy.accuracy_interval, one.efficacy.accuracy_interval);
    EXPECT_EQ(several.efficacy.magnitude_interval, one.efficacy.magnitude_interval);
    EXPECT_EQ(several.neighborhood.success_interval, one.neighborhood.success_interval);
    EXPECT_EQ(several.score_interval, one.score_interval);
  }
}

TEST_F(EditMetricsTest, TheLossOfATextHasAnIntervalOverItsSequences) {
  const std::vector<TokenIds> sequences{{5, 6, 7, 8}, {9, 10}, {11, 12, 13}};
  std::vector<double> sums, predicted;
  for (const TokenIds& sequence : sequences) {
    predicted.push_back(static_cast<double>(sequence.size() - 1));
    sums.push_back(loss({sequence}, 1).loss.value() * predicted.back());
  }
  const auto expected = bootstrap_ratio(sums, predicted);
  for (const int size : {1, 2, 3}) {
    const TextLoss text = loss(sequences, size);
    ASSERT_TRUE(text.loss_interval);
    EXPECT_NEAR(text.loss_interval->low, expected->low, 1e-9);
    EXPECT_NEAR(text.loss_interval->high, expected->high, 1e-9);
  }
  EXPECT_FALSE(loss({sequences[0]}, 1).loss_interval);
}

TEST_F(EditMetricsTest, OfTextThatPredictsNothingThereIsNoLoss) {
  const TokenIds one = {5}, sound = {5, 6, 7}, longer(200, 5);
  for (const int size : {1, 3}) {
    EXPECT_FALSE(loss({}, size).loss);
    EXPECT_FALSE(loss({one}, size).loss);
    const TextLoss text = loss({one, longer, sound}, size);
    EXPECT_EQ(text.loss, loss({sound}, 1).loss);
    EXPECT_EQ(text.tokens, 2);
    EXPECT_EQ(text.left_out, 1);
    EXPECT_THAT(text.rejection, HasSubstr("at most the model's 128 positions"));
  }
}

}  // namespace
}  // namespace anchorage::worker
