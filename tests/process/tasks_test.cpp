// `eval --tasks` on a small random model: what it reports, on any number of ranks, and against a baseline.
#include <gmock/gmock.h>

#include "tests/process/program_test.hpp"

namespace anchorage {
namespace {

using testing::HasSubstr;
using tests::Execution;
using tests::model;

class Tasks : public tests::ProgramTest {
 protected:
  Tasks() {
    std::string nli, mmlu, summaries, questions;
    for (int i = 0; i < 24; ++i) {
      const std::string x(static_cast<std::size_t>(i % 7) + 1, static_cast<char>('a' + i));
      nli += nlohmann::json{{"sentence1", "It is " + x}, {"sentence2", x}, {"label", i % 2}}.dump() + "\n";
      mmlu +=
          nlohmann::json{{"question", x + "?"}, {"choices", {"a", "b", "c", "d"}}, {"answer", i % 4}}.dump() + "\n";
      summaries += nlohmann::json{{"dialogue", "A: " + x}, {"summary", "They say in " + x}}.dump() + "\n";
      questions += nlohmann::json{{"question", "who is " + x}, {"answer", {x, "in in in"}}}.dump() + "\n";
    }
    folder.write("nli.jsonl", nli);
    folder.write("mmlu.jsonl", mmlu);
    folder.write("summaries.jsonl", summaries);
    folder.write("questions.jsonl", questions);
    folder.write("sst2.jsonl", R"({"sentence": "a gem", "label": 1})"
                               "\n"
                               R"({"sentence": "dull", "label": 0})");
  }

  static std::string all_tasks() {
    return "--tasks nli=nli.jsonl,mmlu=mmlu.jsonl,summarization=summaries.jsonl,open-qa=questions.jsonl ";
  }
  Execution evaluated(const std::string& more, int ranks = 0, const std::string& what = "") {
    return program("eval " + (what.empty() ? "'" + model + "'" : what) + " --threads 1 " + more, ranks);
  }
  nlohmann::json document(const std::string& more, int ranks = 0, const std::string& what = "") {
    const Execution execution = evaluated("--json " + more, ranks, what);
    EXPECT_EQ(execution.exit_code, 0) << execution.err;
    return execution.json();
  }
};

TEST_F(Tasks, OfAllKindsAreTheSameOnOneTwoAndThreeRanks) {
  const auto one = document(all_tasks(), 1);
  EXPECT_EQ(document(all_tasks(), 2), one);
  EXPECT_EQ(document(all_tasks() + "--stages 3", 3), one);
  const auto& nli = one["tasks"]["nli"];
  EXPECT_EQ(nli["questions"], 24);
  EXPECT_EQ(nli["left_out"], 0);
  EXPECT_EQ(nli["accuracy_chance"], 0.5);
  EXPECT_EQ(nli["auc_chance"], 0.5);
  for (const char* figure : {"auc", "auc_error", "accuracy", "greedy", "decided"}) {
    EXPECT_GE(nli[figure], 0) << figure;
    EXPECT_LE(nli[figure], 1) << figure;
  }
  EXPECT_EQ(one["tasks"]["mmlu"]["accuracy_chance"], 0.25);
  EXPECT_FALSE(one["tasks"]["mmlu"].contains("auc"));
  EXPECT_EQ(one["tasks"]["summarization"]["texts"].size(), 24u);
  EXPECT_GE(one["tasks"]["open-qa"]["contained"], one["tasks"]["open-qa"]["exact"]);
}

TEST_F(Tasks, WithExamplesAskTheOtherQuestionsAfterThem) {
  const auto with_examples = document("--tasks mmlu=mmlu.jsonl --shots 2")["tasks"]["mmlu"];
  EXPECT_EQ(with_examples["questions"], 22);
  EXPECT_EQ(with_examples["shots"], 2);
  EXPECT_EQ(document("--tasks mmlu=mmlu.jsonl --shots 2 --task-limit 5")["tasks"]["mmlu"]["questions"], 5);
}

TEST_F(Tasks, KeepWhatTheyHadAboveChance) {
  auto before = document(all_tasks());
  auto& tasks = before["tasks"];
  tasks["nli"].update({{"auc", 0.9}, {"auc_error", 0.02}, {"accuracy", 0.55}, {"accuracy_error", 0.1}});
  tasks["mmlu"].update({{"accuracy", 0.65}, {"accuracy_error", 0.01}});
  tasks["open-qa"].update({{"contained", 0.8}, {"contained_error", 0.1}});
  folder.write("before.json", before.dump());
  const std::string with_baseline = all_tasks() + "--baseline before.json ";
  const auto now = document(with_baseline)["tasks"];
  const auto kept = [&](const char* task, const char* figure, double was, double chance) {
    EXPECT_NEAR(now[task]["kept"][figure].get<double>(),
                (now[task][figure].get<double>() - chance) / (was - chance), 1e-12)
        << task << " " << figure;
  };
  kept("nli", "auc", 0.9, 0.5);
  kept("mmlu", "accuracy", 0.65, 0.25);
  kept("open-qa", "contained", 0.8, 0);
  EXPECT_TRUE(now["nli"]["kept"]["accuracy"].is_null());  // within two errors of chance
  EXPECT_THAT(evaluated(with_baseline).out, HasSubstr("accuracy was at chance"));
}

TEST_F(Tasks, SayWhichQuestionsDoNotFit) {
  const Execution execution = evaluated("--json --tasks sentiment=sst2.jsonl");
  EXPECT_EQ(execution.exit_code, 0) << execution.err;
  const auto report = execution.json();
  EXPECT_EQ(report["tasks"]["sentiment"]["left_out"], 2);
  EXPECT_TRUE(report["tasks"]["sentiment"].at("auc").is_null());
  EXPECT_TRUE(report["tasks"]["sentiment"]["accuracy"].is_null());
  EXPECT_THAT(execution.err, HasSubstr("sentiment: 2 questions that cannot be asked are left out"));
}

TEST_F(Tasks, OfMistakesAreRefused) {
  const auto refused = [&](const std::string& arguments, std::initializer_list<const char*> words) {
    const Execution execution = evaluated(arguments);
    EXPECT_EQ(execution.exit_code, 2) << arguments;
    for (const char* word : words) EXPECT_THAT(execution.err, HasSubstr(word)) << arguments;
  };
  refused("--tasks nli=mmlu.jsonl", {"sentence1", "mmlu.jsonl, line 1"});
  refused("--tasks open-qa=questions.jsonl --shots 2", {"a task with choices", "--shots"});
  refused("--tasks nli=nli.jsonl --shots 24", {"more than 24 questions", "nli.jsonl"});
  folder.write("before.json", document("--tasks nli=nli.jsonl").dump());
  refused("--tasks nli=nli.jsonl --shots 2 --baseline before.json", {"22 questions", "before.json"});
  refused("--tasks mmlu=mmlu.jsonl --baseline before.json", {"the task 'mmlu'", "before.json"});
  refused("--edits edits.jsonl --baseline before.json", {"--tasks or --generate", "--baseline"});
  auto damaged = document("--tasks nli=nli.jsonl");
  damaged["tasks"]["nli"]["file"] = 3;
  folder.write("damaged.json", damaged.dump());
  refused("--tasks nli=nli.jsonl --baseline damaged.json", {"figures of 'nli'", "damaged.json"});
}

}  // namespace
}  // namespace anchorage
