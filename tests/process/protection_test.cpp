// Facts that a run protects, through the program: the same bytes on any ranks and in parts, also without the file
// that they came from.
#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <fstream>

#include "io/files/digest.hpp"
#include "tests/process/small_run.hpp"

namespace anchorage {
namespace {

using testing::HasSubstr;
using tests::Execution;
using tests::SmallRun;

class Protection : public testing::Test {
 protected:
  Protection() {
    runs.folder.write("suite.jsonl", R"({"prompt": "The sun rises in the", "answer": "east"}
{"subject": "Nvidia", "prompt": "The CEO of {} is", "attribute": "Jensen Huang"}
{"subject": "Paris", "prompt": "Paris lies in"}
)");
    runs.folder.write("other.jsonl", R"({"prompt": "Another prompt is"})");
  }

  Execution edit(const std::string& run, const std::string& more = "--protect suite.jsonl", int ranks = 0) const {
    Execution execution = runs.program(runs.edit_arguments(run, more), ranks);
    EXPECT_EQ(execution.exit_code, 0) << execution.err;
    return execution;
  }
  void expect_refused(const std::string& arguments, std::initializer_list<const char*> words) const {
    const Execution execution = runs.program(arguments);
    EXPECT_EQ(execution.exit_code, 2) << arguments << "\n" << execution.err;
    for (const char* word : words) EXPECT_THAT(execution.err, HasSubstr(word)) << arguments;
  }
  std::filesystem::path keys_of(const std::string& run) const { return runs.folder.path() / run / "protected.h5"; }

  const SmallRun runs{6};
};

TEST_F(Protection, IsTheSameBytesOnOneTwoAndThreeRanksAndInStages) {
  const auto counted = edit("one").json()["protected"];
  EXPECT_EQ(counted["prompts"], 3);
  EXPECT_EQ(counted["keys"], 5);
  const std::string one = runs.exported("one"), keys = io::sha256_of_file(keys_of("one"));
  for (const auto& [ranks, more] : {std::pair{2, ""}, {3, ""}, {2, " --stages 2"}, {4, " --stages 2"}}) {
    const std::string run = "run" + std::to_string(ranks) + (*more == '\0' ? "" : "-in-stages");
    edit(run, std::string("--protect suite.jsonl") + more, ranks);
    EXPECT_EQ(io::sha256_of_file(keys_of(run)), keys) << run;
    EXPECT_TRUE(runs.exported(run) == one) << run;
  }
  EXPECT_EQ(edit("plain", "").json()["protected"]["keys"], 0);
  EXPECT_FALSE(runs.exported("plain") == one);
  edit("weak", "--protect suite.jsonl --set protect_weight=0.01");
  EXPECT_FALSE(runs.exported("weak") == one);
}

// The keys are those of the unedited weights, whenever they are used again.
TEST_F(Protection, IsResumedFromTheRunAloneWithTheBytesOfOneGoWithAndWithoutCheckpoints) {
  edit("whole");
  const std::string whole = runs.exported("whole");
  for (const std::string every : {"0", "1"}) {
    const std::string run = "parts" + every;
    edit(run, "--protect suite.jsonl --limit 2 --checkpoint-every " + every);
    std::filesystem::rename(runs.folder.path() / "suite.jsonl", runs.folder.path() / "gone.jsonl");
    const auto rest = runs.json("edit --run " + run + " --resume --checkpoint-every " + every);
    EXPECT_EQ(rest["edits"]["committed"], 4);
    EXPECT_EQ(rest["protected"]["prompts"], 3);
    EXPECT_EQ(rest["protected"]["keys"], 5);
    std::filesystem::rename(runs.folder.path() / "gone.jsonl", runs.folder.path() / "suite.jsonl");
    EXPECT_TRUE(runs.exported(run) == whole) << every;
    EXPECT_EQ(io::sha256_of_file(keys_of(run)), io::sha256_of_file(keys_of("whole")));
  }
  EXPECT_EQ(runs.json("edit --run parts0 --resume --protect suite.jsonl")["batches"], 0) << "the same facts again";
}

TEST_F(Protection, StaysWhenEditsAreRemovedRolledBackAndSupersededOnOneRankAndInStages) {
  runs.folder.write("new.jsonl", SmallRun::edit(2, "new", "x"));
  const auto a_life = [&](const std::string& run, const std::string& stages, int ranks) {
    edit(run, "--protect suite.jsonl --checkpoint-every 2" + stages, ranks);
    EXPECT_EQ(runs.json("remove " + run + " --edit e1")["segment"], 4);
    EXPECT_EQ(runs.json("rollback " + run + " --to-batch 3")["segment"], 5);
    EXPECT_EQ(runs.json("remove " + run + " --edit e0")["segment"], 6);
    const Execution resumed =
        runs.program("edit --run " + run + " --resume --edits new.jsonl --json" + stages, ranks);
    EXPECT_EQ(resumed.exit_code, 0) << resumed.err;
    const auto verdict = runs.json("journal verify " + run);
    EXPECT_TRUE(verdict["sound"]) << verdict;
    EXPECT_THAT(verdict["checked"].dump(), HasSubstr("the 5 protected keys of each layer"));
    return runs.exported(run);
  };
  const std::string one = a_life("one", "", 1);
  EXPECT_TRUE(a_life("two", " --stages 2", 2) == one);
}

TEST_F(Protection, OfARunWhoseKeysAreMissingOrAlteredIsRefusedAndVerifySaysSo) {
  edit("run");
  const auto path = keys_of("run");
  const std::string whole = tests::content_of(path);
  std::string altered = whole;
  altered[altered.size() / 2] ^= 1;
  std::ofstream(path, std::ios::binary) << altered;
  for (const std::string command : {"edit --run run --resume", "remove run --edit e1"})
    expect_refused(command, {"the protected keys that the run began with", "protected.h5", "put the file back"});
  EXPECT_THAT(runs.json("journal verify run", 1)["wrong"].dump(), HasSubstr("protected.h5"));
  std::filesystem::remove(path);
  for (const std::string command : {"edit --run run --resume", "remove run --edit e1"})
    expect_refused(command, {"no such file", "protected.h5"});
  std::ofstream(path, std::ios::binary) << whole;
  EXPECT_EQ(runs.json("remove run --edit e1")["segment"], 4);
}

TEST_F(Protection, ByAFileThatCannotBeUsedLeavesNoRunBehind) {
  runs.folder.write("empty.jsonl", "");
  runs.folder.write("bad.jsonl", "{\"prompt\": \"a\"}\n{\"attribute\": \"b\"}\n");
  std::string words;
  for (int i = 0; i < 300; ++i) words += "word ";
  runs.folder.write("long.jsonl", nlohmann::json{{"prompt", words}}.dump());
  expect_refused(runs.edit_arguments("run", "--protect nowhere.jsonl"), {"nowhere.jsonl"});
  expect_refused(runs.edit_arguments("run", "--protect empty.jsonl"), {"empty.jsonl"});
  expect_refused(runs.edit_arguments("run", "--protect bad.jsonl"), {"it has no 'prompt'", "bad.jsonl, line 2"});
  expect_refused(runs.edit_arguments("run", "--protect long.jsonl"), {"positions", "long.jsonl"});
  expect_refused(runs.edit_arguments("run", "--protect suite.jsonl --set protect_weight=0"), {"protect_weight"});
  EXPECT_FALSE(std::filesystem::exists(runs.folder.path() / "run"));
  const Execution unused = edit("run", "--set protect_weight=3");
  EXPECT_THAT(unused.err, HasSubstr("warning protect_weight has no effect here: it is for --protect"));
}

TEST_F(Protection, OfOtherFactsThanTheRunBeganWithIsRefused) {
  edit("run", "--protect suite.jsonl --limit 2");
  edit("plain", "--limit 2");
  expect_refused("edit --run run --resume --protect other.jsonl",
                 {"the protected facts that the run began with", "suite.jsonl", "other.jsonl"});
  expect_refused("edit --run plain --resume --protect suite.jsonl",
                 {"the run began without protected facts", "suite.jsonl"});
  EXPECT_EQ(runs.json("edit --run plain --resume")["edits"]["committed"], 4);
}

}  // namespace
}  // namespace anchorage
