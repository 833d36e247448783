#include "worker/statistics/subject_statistics.hpp"

#include <gmock/gmock.h>
#include <gtest/gtest.h>
#include <torch/utils.h>

#include <map>
#include <set>

#include "io/error.hpp"
#include "io/files/digest.hpp"
#include "io/statistics/statistics_file.hpp"
#include "sharding/collective/rank_groups.hpp"
#include "tests/support/message_of.hpp"
#include "tests/support/temporary_directory.hpp"
#include "tests/support/thread_communicator.hpp"
#include "tests/unit/worker/model/golden_model.hpp"
#include "tests/unit/worker/model/stage_world.hpp"
#include "worker/matrix_conversion.hpp"
#include "worker/model/forward.hpp"

namespace anchorage::worker {
namespace {

using testing::HasSubstr;

// 75 prompts of many lengths: three groups, the last of which is short.
io::SubjectList list_of_75() {
  io::SubjectList list{.digest = "dddd", .prompts = {}};
  for (const std::string prompt : {"{} was born in", "The name of the mother of {} is", "In which land is {}?"}) {
    for (int i = 0; i < 25; ++i) {
      const std::string subject =
          std::string(static_cast<std::size_t>(1 + i % 5), static_cast<char>('A' + i)) + "corp";
      list.prompts.push_back({.subject = subject, .prompt = prompt, .where = "line " + std::to_string(i)});
    }
  }
  return list;
}

class SubjectStatistics : public testing::Test {
 protected:
  // A finished file of layers 1 and 2, whose moments of text are multiples of the identity.
  std::filesystem::path finished_file(const std::string& name) const {
    io::Statistics statistics;
    statistics.fingerprint = {
        .model_name = "m", .model = "1", .tokenizer = "2", .corpus = "3", .sequence_length = 40};
    statistics.tokens = 300;
    statistics.residual_norm_median = {1, 2, 3, 0};
    for (const std::int64_t layer : {1, 2})
      statistics.moments.push_back(
          {layer, to_matrix(static_cast<float>(layer) * torch::eye(directory.config().d_ff))});
    io::save_statistics(folder.path() / name, statistics);
    return folder.path() / name;
  }

  SubjectSummary collect(const io::SubjectList& list, const std::filesystem::path& path, int stages = 1,
                         int replicas = 1) const {
    SubjectSummary summary;
    tests::run_thread_world(stages * replicas, [&](sharding::HostCommunicator& world) {
      torch::set_num_threads(1);
      auto groups = sharding::form_rank_groups(world, {stages, replicas}, torch::kCPU);
      const Transformer model =
          load_transformer(directory, {.device = torch::kCPU,
                                       .dtype = std::nullopt,
                                       .stages = Stages(tests::even_stages(4, stages), *groups.replica)});
      const PromptBuilder prompts(tokenizer, model.config.vocabulary);
      const auto found = collect_subject_moments(model, prompts, list, path, {groups, world}, [](auto) {});
      if (world.rank() == 0) summary = found;
    });
    return summary;
  }

  std::string text_of(const TokenIds& ids) const { return tokenizer.decode(ids); }

  const tests::TemporaryDirectory folder;
  const io::ModelDirectory directory = tests::golden_model("llama_tied").directory;
  const io::Tokenizer tokenizer = io::Tokenizer::load(directory.tokenizer());
  const PromptBuilder builder{tokenizer};
};

TEST_F(SubjectStatistics, RowsEndWithTheirSubjectsAndEverySecondOneFollowsAnOpening) {
  const io::SubjectList list = list_of_75();
  const SubjectTokens tokens = subject_tokens(builder, list, 1000);
  ASSERT_EQ(tokens.rows.size(), list.prompts.size());
  EXPECT_EQ(tokens.left_out, 0);
  std::set<std::string> openings;
  for (std::size_t i = 0; i < tokens.rows.size(); ++i) {
    const auto& [subject, prompt, where] = list.prompts[i];
    const std::string head = prompt.substr(0, prompt.find("{}")) + subject, text = text_of(tokens.rows[i]);
    if (i % 2 == 0) {
      EXPECT_EQ(text, head);
    } else {
      ASSERT_TRUE(text.ends_with(". " + head)) << text;
      openings.insert(text.substr(0, text.size() - head.size()));
    }
  }
  EXPECT_GE(openings.size(), 4U);
}

TEST_F(SubjectStatistics, SecondMomentsAreThoseOfWholePromptsOneByOne) {
  const io::SubjectList list = list_of_75();
  const auto path = finished_file("s.h5");
  EXPECT_EQ(collect(list, path).rows, 75);
  const Transformer model = load_transformer(directory);
  const std::int64_t f = model.config.d_ff;
  std::map<std::int64_t, torch::Tensor> sums{{1, torch::zeros({f, f}, torch::kDouble)},
                                             {2, torch::zeros({f, f}, torch::kDouble)}};
  const SubjectTokens tokens = subject_tokens(builder, list, 1000);
  for (std::size_t i = 0; i < tokens.rows.size(); ++i) {
    // The whole prompt with its opening, encoded anew.
    const std::string& prompt = list.prompts[i].prompt;
    const std::string text = text_of(tokens.rows[i]) + prompt.substr(prompt.find("{}") + 2);
    const TokenIds ids = builder.prompt_ids(text);
    const auto last = std::ssize(tokens.rows[i]) - 1;
    ASSERT_TRUE(tokenizer.decode(std::span(ids).first(static_cast<std::size_t>(last + 1)))
                    .ends_with(list.prompts[i].subject));
    const ForwardPass pass(model, lay_out(std::span(&ids, 1), {}, torch::kCPU));
    auto hidden = pass.blocks(0, 1, pass.embed());
    for (auto& [layer, sum] : sums) {
      const BlockOutput output = pass.block(layer, hidden);
      hidden = output.hidden;
      const auto key = output.key[last].to(torch::kDouble);
      sum += at::outer(key, key);
    }
  }
  const auto file = io::StatisticsFile::load(path);
  for (const auto& [layer, sum] : sums) {
    const auto mean = sum / 75;
    tests::expect_close(to_tensor(file.subject_moment(layer).moment), mean, 1e-5 * mean.abs().max().item<double>());
  }
}

TEST_F(SubjectStatistics, OfStagesAndReplicasAreTheSameNumbers) {
  const io::SubjectList list = list_of_75();
  collect(list, finished_file("one.h5"));
  const auto one = io::StatisticsFile::load(folder.path() / "one.h5");
  for (const auto& [stages, replicas] : {std::pair{2, 1}, {1, 2}, {1, 4}, {2, 2}, {3, 1}}) {
    const std::string name = fmt::format("{}x{}.h5", stages, replicas);
    EXPECT_EQ(collect(list, finished_file(name), stages, replicas).rows, 75);
    const auto several = io::StatisticsFile::load(folder.path() / name);
    for (const std::int64_t layer : {1, 2})
      EXPECT_EQ(several.subject_moment(layer), one.subject_moment(layer)) << name;
  }
}

TEST_F(SubjectStatistics, AreAddedToWhatTheFileHas) {
  const auto path = finished_file("s.h5");
  const std::string before = io::sha256_of_file(path);
  collect(list_of_75(), path);
  const auto file = io::StatisticsFile::load(path);
  EXPECT_EQ(file.tokens(), 300);
  EXPECT_EQ(file.residual_norm_median(), (std::vector<float>{1, 2, 3, 0}));
  EXPECT_TRUE(at::equal(to_tensor(file.moment(2).moment), 2 * torch::eye(directory.config().d_ff)));
  EXPECT_EQ(file.subjects(), (io::SubjectRows{.list = "dddd", .rows = 75}));
  EXPECT_EQ(file.digest_without_subjects(), before);
}

TEST_F(SubjectStatistics, LeaveOutWhatCannotBeUsedAndNameTheFirst) {
  io::SubjectList list = list_of_75();
  std::string words;
  for (int i = 0; i < 3000; ++i) words += "word ";
  list.prompts[3].prompt = words + "{} is";
  list.prompts[9].prompt = words + "{} is";
  const std::int64_t positions = directory.config().max_positions;
  const SubjectTokens tokens = subject_tokens(builder, list, positions);
  EXPECT_EQ(tokens.rows.size(), 73U);
  EXPECT_EQ(tokens.left_out, 2);
  EXPECT_THAT(tokens.first_left_out, HasSubstr("(line 3): expected a prompt that takes at most"));
  const SubjectSummary summary = collect(list, finished_file("s.h5"));
  EXPECT_EQ(summary.rows, 73);
  EXPECT_EQ(summary.left_out, 2);
  EXPECT_EQ(io::StatisticsFile::load(folder.path() / "s.h5").subjects()->rows, 73);
}

TEST_F(SubjectStatistics, OfNoPromptThatCanBeUsedAreRefusedAndTheFileStays) {
  const auto path = finished_file("s.h5");
  const std::string before = io::sha256_of_file(path);
  std::string words;
  for (int i = 0; i < 3000; ++i) words += "word ";
  const io::SubjectList list{.digest = "dddd",
                             .prompts = {{.subject = "A", .prompt = words + "{} is", .where = "line 1"}}};
  EXPECT_THAT(tests::message_of([&] { collect(list, path); }),
              HasSubstr("found none of 1; the first: subject 'A'"));
  EXPECT_EQ(io::sha256_of_file(path), before);
}

}  // namespace
}  // namespace anchorage::worker
