#include "worker/statistics/protected_keys.hpp"

#include <gmock/gmock.h>
#include <gtest/gtest.h>
#include <torch/utils.h>

#include <utility>

#include "io/error.hpp"
#include "sharding/collective/rank_groups.hpp"
#include "tests/support/message_of.hpp"
#include "tests/support/thread_communicator.hpp"
#include "tests/unit/worker/model/golden_model.hpp"
#include "tests/unit/worker/model/stage_world.hpp"
#include "worker/matrix_conversion.hpp"
#include "worker/model/forward.hpp"

namespace anchorage::worker {
namespace {

using testing::AllOf;
using testing::ElementsAre;
using testing::HasSubstr;

// 80 prompts of many lengths, half of them without a subject: 120 keys, in four groups, the last of which is short.
std::vector<io::ProtectedPrompt> prompts_of_80() {
  std::vector<io::ProtectedPrompt> prompts;
  for (int i = 0; i < 40; ++i) {
    const std::string subject =
        std::string(static_cast<std::size_t>(1 + i % 5), static_cast<char>('A' + i % 26)) + std::to_string(i);
    prompts.push_back({.subject = subject, .prompt = "The mother of {} is", .where = "line 1"});
    prompts.push_back({.prompt = subject + " lies in the land of", .where = "line 2"});
  }
  return prompts;
}

class ProtectedKeysOfAModel : public testing::Test {
 protected:
  std::vector<std::string> texts(const std::vector<io::ProtectedPrompt>& prompts) const {
    std::vector<std::string> all;
    for (const TokenIds& row : protected_rows(builder, prompts, 100)) all.push_back(tokenizer.decode(row));
    return all;
  }

  std::vector<io::ProtectedLayer> collect(const std::vector<TokenIds>& rows, int stages, int replicas,
                                          tests::Cut cut = tests::Cut::one_range) const {
    std::vector<io::ProtectedLayer> found;
    tests::run_thread_world(stages * replicas, [&](sharding::HostCommunicator& world) {
      torch::set_num_threads(1);
      auto groups = sharding::form_rank_groups(world, {stages, replicas}, torch::kCPU);
      const Transformer model =
          load_transformer(directory, {.device = torch::kCPU,
                                       .dtype = std::nullopt,
                                       .stages = Stages(tests::cut_stages(4, stages, cut, 1), *groups.replica)});
      auto own = collect_protected_keys(model, rows, {1, 2}, {groups, world});
      if (world.rank() == 0) {
        found = std::move(own);
      } else {
        EXPECT_TRUE(own.empty());
      }
    });
    return found;
  }

  const io::ModelDirectory directory = tests::golden_model("llama_tied").directory;
  const io::Tokenizer tokenizer = io::Tokenizer::load(directory.tokenizer());
  const PromptBuilder builder{tokenizer};
};

TEST_F(ProtectedKeysOfAModel, AreAtTheLastTokensOfSubjectsAndOfPrompts) {
  EXPECT_THAT(texts({{.subject = "Boeing", .prompt = "The CEO of {} is"}, {.prompt = "The sun rises in the"}}),
              ElementsAre("The CEO of Boeing", "The CEO of Boeing is", "The sun rises in the"));
}

TEST_F(ProtectedKeysOfAModel, AreThereOnceWherePromptsBeginAlikeOrEndWithTheirSubject) {
  EXPECT_THAT(texts({{.subject = "Boeing", .prompt = "The CEO of {} is"},
                     {.subject = "Boeing", .prompt = "The CEO of {} was"},
                     {.subject = "Nike", .prompt = "Who leads {}"},
                     {.prompt = "The CEO of Boeing was"}}),
              ElementsAre("The CEO of Boeing", "The CEO of Boeing is", "The CEO of Boeing was", "Who leads Nike"));
}

TEST_F(ProtectedKeysOfAModel, OfAChatAreThoseOfTheRenderedPrompt) {
  EXPECT_THAT(texts({{.subject = "Nike", .prompt = "Who leads {}", .chat_prompt = "User: Who leads {} Assistant:"},
                     {.prompt = "Hello", .chat_prompt = "User: Hello Assistant:"}}),
              ElementsAre("User: Who leads Nike", "User: Who leads Nike Assistant:", "User: Hello Assistant:"));
}

TEST_F(ProtectedKeysOfAModel, OfAPromptThatIsTooLongAreRefusedWithItsPlace) {
  std::string words;
  for (int i = 0; i < 200; ++i) words += "word ";
  const std::vector<io::ProtectedPrompt> bare{{.prompt = "short", .where = "suite.jsonl, line 1"},
                                              {.prompt = words, .where = "suite.jsonl, line 2"}};
  EXPECT_THAT(tests::message_of([&] { protected_rows(builder, bare, 100); }),
              AllOf(HasSubstr("at most 100 positions"), HasSubstr("suite.jsonl, line 2")));
  const std::vector<io::ProtectedPrompt> about{
      {.subject = "A", .prompt = words + "{} is", .where = "suite.jsonl, line 3"}};
  EXPECT_THAT(tests::message_of([&] { protected_rows(builder, about, 100); }),
              AllOf(HasSubstr("at most 100 positions"), HasSubstr("suite.jsonl, line 3")));
}

TEST_F(ProtectedKeysOfAModel, AreThoseOfTheRowsOneByOne) {
  const auto rows = protected_rows(builder, prompts_of_80(), 100);
  ASSERT_EQ(rows.size(), 120U);
  const auto found = collect(rows, 1, 1);
  ASSERT_EQ(found.size(), 2U);
  const Transformer model = load_transformer(directory);
  for (const io::ProtectedLayer& layer : found) {
    const auto keys = to_tensor(layer.keys);
    ASSERT_EQ(keys.size(0), 120);
    for (std::size_t i = 0; i < rows.size(); ++i) {
      const ForwardPass pass(model, lay_out(std::span(&rows[i], 1), {}, torch::kCPU));
      const auto key = pass.block(layer.layer, pass.blocks(0, layer.layer, pass.embed())).key[-1];
      tests::expect_close(keys[static_cast<std::int64_t>(i)], key, 1e-5 * key.abs().max().item<double>());
    }
  }
}

TEST_F(ProtectedKeysOfAModel, AreTheSameBitsOnStagesAndReplicas) {
  const auto rows = protected_rows(builder, prompts_of_80(), 100);
  const auto one = collect(rows, 1, 1);
  for (const auto& [stages, replicas] : {std::pair{2, 1}, {1, 2}, {1, 3}, {1, 5}, {2, 2}, {3, 1}, {4, 1}}) {
    for (const tests::Cut cut : {tests::Cut::one_range, tests::Cut::two_ranges}) {
      if (stages == 1 && cut == tests::Cut::two_ranges) continue;
      const auto several = collect(rows, stages, replicas, cut);
      ASSERT_EQ(several.size(), 2U);
      for (std::size_t i = 0; i < 2; ++i) {
        EXPECT_EQ(several[i].layer, one[i].layer);
        EXPECT_TRUE(several[i].keys == one[i].keys)
            << stages << " stages x " << replicas << " replicas, "
            << (cut == tests::Cut::one_range ? "one range a stage" : "two ranges a stage");
      }
    }
  }
}

}  // namespace
}  // namespace anchorage::worker
