// What an evaluation could not measure has no value, and what it left out is counted.
#include "worker/evaluation/edit_metrics.hpp"

#include <gmock/gmock.h>
#include <gtest/gtest.h>
#include <torch/utils.h>

#include "tests/support/thread_communicator.hpp"
#include "tests/unit/worker/model/golden_model.hpp"
#include "worker/evaluation/text_loss.hpp"

namespace anchorage::worker {
namespace {

using testing::ElementsAre;
using testing::HasSubstr;
using testing::IsEmpty;

class EditMetricsTest : public testing::Test {
 protected:
  template <class Measure>
  auto measured(int size, Measure measure) const {
    decltype(measure(std::declval<const Communicators&>())) result;
    tests::run_thread_world(size, [&](sharding::HostCommunicator& host) {
      torch::set_num_threads(1);
      const auto device = sharding::make_device_communicator(host, torch::kCPU);
      auto own = measure(Communicators(host, *device));
      if (host.rank() == size - 1) result = std::move(own);
    });
    return result;
  }
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

  const io::ModelDirectory directory = tests::golden_model("llama_tied").directory;
  const io::Tokenizer tokenizer = io::Tokenizer::load(directory.tokenizer());
  const PromptBuilder prompts{tokenizer};
  const Transformer model = load_transformer(directory);
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
