// `tune` on a small random model: what it writes, what it keeps, what it refuses.
#include <gmock/gmock.h>

#include <map>

#include "tests/process/program_test.hpp"
#include "tests/support/places.hpp"

namespace anchorage {
namespace {

using testing::HasSubstr;
using testing::Not;
using tests::content_of;
using tests::corpus;
using tests::Execution;
using tests::model;

class Tune : public tests::ProgramTest {
 protected:
  Tune() { folder.write("start.yaml", tests::small_hparams + "v_num_grad_steps: 4\n"); }

  // Of few trials: windows, one more weight and one more clamp.
  static std::string arguments(const std::string& out, const std::string& more = "") {
    return "tune '" + model + "' --edits edits.jsonl --corpus '" + corpus + "' --out " + out +
           " --hparams start.yaml --method memit_seq --tokens 1500 --sequence-length 64 --noises 2 --weights 0.03 "
           "--clamps 10 --loss-rise 100 --threads 1 --json " +
           more;
  }

  Execution tuned(const std::string& out, const std::string& more = "", int ranks = 0) {
    const Execution execution = program(arguments(out, more), ranks);
    EXPECT_EQ(execution.exit_code, 0) << execution.err;
    return execution;
  }

  void expect_refused(const std::string& arguments, std::initializer_list<const char*> words) {
    const Execution execution = program(arguments);
    EXPECT_EQ(execution.exit_code, 2) << arguments << "\n" << execution.err;
    for (const char* word : words) EXPECT_THAT(execution.err, HasSubstr(word)) << arguments;
  }

  std::map<std::string, std::filesystem::file_time_type> trials_in(const std::string& work) const {
    std::map<std::string, std::filesystem::file_time_type> trials;
    for (const auto& entry : std::filesystem::directory_iterator(folder.path() / work / "trials"))
      trials[entry.path().filename()] = entry.last_write_time();
    return trials;
  }

  // What it prints, but for the paths.
  static nlohmann::json findings(nlohmann::json document) {
    for (const char* path : {"out", "work", "statistics"}) document.erase(path);
    return document;
  }
};

TEST_F(Tune, WritesAFileWithWhichAnEditGivesWhatTheTrialPromised) {
  const nlohmann::json found = tuned("tuned.yaml", "", 2).json();
  const auto& trials = found["trials"];
  const auto& chosen = trials[found["chosen"].get<std::size_t>()];
  ASSERT_GE(trials.size(), 4U);
  EXPECT_EQ(found["trace"]["effects"].size(), 4U);
  EXPECT_EQ(found["trace"]["facts"], 5);
  const std::string file = content_of(folder.path() / "tuned.yaml");
  EXPECT_THAT(file, HasSubstr("alg_name: memit_seq"));
  EXPECT_THAT(file, HasSubstr("v_num_grad_steps: 4"));
  EXPECT_THAT(file, HasSubstr("from start.yaml"));

  const Execution edited =
      program("edit '" + model + "' --edits edits.jsonl --run run --hparams tuned.yaml --stats " +
              found["statistics"].get<std::string>() + " --method memit_seq --set guard=off --threads 1 --json");
  ASSERT_EQ(edited.exit_code, 0) << edited.err;
  EXPECT_THAT(edited.err, Not(HasSubstr("alg_name")));
  const nlohmann::json report = edited.json();
  double drift = 0;
  for (const auto& layer : report["layers"]) drift = std::max(drift, layer["drift"].get<double>());
  EXPECT_GT(drift, 0);
  EXPECT_EQ(chosen["drift"], drift);
  const nlohmann::json measured = program("eval run --edits edits.jsonl --threads 1 --json").json();
  EXPECT_EQ(chosen["match"], measured["efficacy"]["accuracy"]);
  EXPECT_EQ(chosen["paraphrases"], measured["paraphrase"]["accuracy"]);
  EXPECT_EQ(chosen["neighbors"], measured["neighborhood"]["success"]);
}

TEST_F(Tune, FindsTheSameOnStagesAndPrintsATable) {
  const nlohmann::json alone = findings(tuned("alone.yaml").json());
  EXPECT_EQ(findings(tuned("stages.yaml", "--stages 2", 2).json()), alone);
  EXPECT_EQ(content_of(folder.path() / "stages.yaml"), content_of(folder.path() / "alone.yaml"));
  // All of it is kept: nothing is computed again for the table.
  std::string arguments = this->arguments("table.yaml", "--work alone.yaml.work");
  arguments.replace(arguments.find("--json"), 6, "");
  const Execution table = program(arguments);
  EXPECT_EQ(table.exit_code, 0) << table.err;
  EXPECT_THAT(table.out, HasSubstr("indirect effect"));
  EXPECT_THAT(table.out, HasSubstr("neighbors"));
  EXPECT_THAT(table.out, HasSubstr("\n* "));
  EXPECT_THAT(table.err, Not(HasSubstr("trials/s")));
}

TEST_F(Tune, KilledBetweenTrialsItRepeatsNone) {
  const Execution killed =
      program.shell("{ '" + tests::program_path() + "' " + arguments("tuned.yaml", "--work w") +
                    " & } ; job=$!; until [ \"$(ls w/trials 2>/dev/null | grep -c json$)\" -ge 2 ] "
                    "|| ! kill -0 $job; do sleep 0.01; done; kill -KILL $job; wait $job");
  EXPECT_EQ(killed.exit_code, 128 + 9) << killed.err;
  EXPECT_FALSE(exists(folder.path() / "tuned.yaml"));
  const auto before = trials_in("w");
  const auto statistics = last_write_time(folder.path() / "w" / "statistics.h5");
  const nlohmann::json resumed = tuned("tuned.yaml", "--work w").json();
  const auto after = trials_in("w");
  EXPECT_EQ(after.size(), resumed["trials"].size());
  EXPECT_LT(before.size(), after.size());
  for (const auto& [name, time] : before) {
    const bool is_finished = name.ends_with(".json");
    EXPECT_TRUE(!is_finished || after.at(name) == time) << name;
  }
  EXPECT_EQ(last_write_time(folder.path() / "w" / "statistics.h5"), statistics);
  EXPECT_EQ(findings(tuned("undisturbed.yaml").json()), findings(resumed));

  expect_refused(arguments("other.yaml", "--work w --limit 3"),
                 {"limit that the tuning there began with, 32", "found 3"});
  folder.write("edits.jsonl", std::string(tests::edits) + "\n");
  expect_refused(arguments("other.yaml", "--work w"), {"the sample that the tuning there began with"});
}

TEST_F(Tune, OfGivenStatisticsItTriesTheirLayersAlone) {
  const Execution execution = tuned("tuned.yaml", "--stats s.h5");
  const std::vector<std::vector<int>> possible = {{1}, {2}, {1, 2}};
  const nlohmann::json found = execution.json();
  EXPECT_GE(found["trials"].size(), 3U);
  for (const auto& trial : found["trials"])
    EXPECT_THAT(possible, testing::Contains(trial["layers"].get<std::vector<int>>()));
  EXPECT_THAT(execution.err, HasSubstr("s.h5 has layers 1, 2 alone"));
  EXPECT_FALSE(exists(folder.path() / "tuned.yaml.work" / "statistics.h5"));
}

TEST_F(Tune, RefusesWhatItCannotUseAndLeavesNothing) {
  const auto with = [&](const std::string& name, const std::string& value) {
    std::string text = arguments("tuned.yaml");
    const std::size_t begin = text.find(name + " ") + name.size() + 1;
    return text.replace(begin, text.find(' ', begin) - begin, value);
  };
  folder.write("none.jsonl", "");
  expect_refused(with("--edits", "none.jsonl"), {"none.jsonl"});
  folder.write("bare.jsonl", R"({"id": "a", "prompt": "The CEO of {} is", "target": "Kelly Ortberg"})"
                             "\n");
  expect_refused(with("--edits", "bare.jsonl"), {"subject", "bare.jsonl"});
  folder.write("ends.jsonl", R"({"id": "a", "subject": "Boeing", "prompt": "The CEO of {}", "target": "Kelly"})"
                             "\n");
  expect_refused(with("--edits", "ends.jsonl"),
                 {"edits whose facts can be traced", "edit a", "words after their subject"});
  expect_refused(with("--corpus", "nowhere.txt"), {"expected a text", "nowhere.txt", "--corpus"});
  expect_refused(with("--tokens", "1000000"), {"held-out", "--tokens"});
  expect_refused(with("--out", "edits.jsonl"), {"a new file", "edits.jsonl", "--out"});
  expect_refused(arguments("tuned.yaml", "--work ."), {"a new directory", "--work"});
  EXPECT_FALSE(exists(folder.path() / "tuned.yaml"));
  EXPECT_FALSE(exists(folder.path() / "tuned.yaml.work"));
}

}  // namespace
}  // namespace anchorage
