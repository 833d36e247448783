// Canaries through the program: a batch that breaks one is reverted, and an export is held back.
#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "tests/process/small_run.hpp"

namespace anchorage {
namespace {

using testing::AllOf;
using testing::HasSubstr;
using tests::Execution;
using tests::SmallRun;

// Edits whose targets follow their subjects at once, which these models learn to say.
class CanariesOfARun : public testing::Test {
 protected:
  CanariesOfARun() {
    std::string lines;
    for (int i = 0; i < 4; ++i) lines += edit(i, "e" + std::to_string(i), std::string(2, letter(i)));
    runs.folder.write("edits.jsonl", lines);
  }

  static char letter(int i) { return static_cast<char>('A' + i); }
  static std::string edit(int i, const std::string& id, const std::string& target) {
    return nlohmann::json{{"id", id},
                          {"subject", letter(i) + std::string("corp ") + std::to_string(i)},
                          {"prompt", "Ask for {}"},
                          {"target", target},
                          {"target_prefix", ""}}
               .dump() +
           "\n";
  }

  const SmallRun runs{4};
};

// Two edits per batch; what the first is about must be answered as before.
TEST_F(CanariesOfARun, TheEditThatBreaksOneIsSetAsideAloneOnAnyNumberOfRanks) {
  runs.folder.write("canaries.jsonl", R"({"id": "first", "prompt": "Ask for Acorp 0"})");
  for (const int ranks : {0, 2}) {
    const std::string run = "run" + std::to_string(ranks);
    const Execution execution = runs.program(
        runs.edit_arguments(run, "--canaries canaries.jsonl" + std::string(ranks > 0 ? " --stages 2" : "")), ranks);
    EXPECT_EQ(execution.exit_code, 3) << execution.err;
    const auto set_aside = execution.json()["set_aside"];
    ASSERT_EQ(set_aside.size(), 1) << execution.out;
    EXPECT_THAT(set_aside[0].dump(),
                AllOf(HasSubstr("e0"), HasSubstr("canary 'first' broke: to 'Ask for Acorp 0' the model says 'AA"),
                      HasSubstr("expected '00")));
  }
  EXPECT_EQ(runs.exported("run0"), runs.exported("run2"));
  EXPECT_THAT(runs.json("journal show run0")["guard"].dump(), HasSubstr("canaries that hold"));
  EXPECT_THAT(tests::content_of(runs.folder.path() / "run0" / "run.yaml"), HasSubstr("canaries.jsonl"));

  // A run keeps its canaries.
  runs.folder.write("again.jsonl", edit(0, "e9", "ZZ") + edit(4, "e4", "EE"));
  const Execution resumed = runs.program("edit --run run0 --resume --json --edits again.jsonl");
  EXPECT_EQ(resumed.exit_code, 3) << resumed.err;
  EXPECT_THAT(resumed.out, HasSubstr("canary 'first' broke"));
  EXPECT_EQ(runs.program("export run0 --out kept --canaries canaries.jsonl").exit_code, 0);
}

TEST_F(CanariesOfARun, AnExportIsHeldBackWhereOneDoesNotHold) {
  runs.folder.write("old.jsonl", R"({"id": "old", "prompt": "Ask for Bcorp 1"})");
  runs.folder.write("new.jsonl", R"({"id": "new", "prompt": "Ask for Bcorp 1", "answer": "BB"})");
  const Execution edited = runs.program(runs.edit_arguments("run", "--canaries new.jsonl"));
  ASSERT_EQ(edited.exit_code, 0) << "one that did not hold before cannot break: " << edited.err;
  const Execution held = runs.program("export run --out model --canaries old.jsonl");
  EXPECT_EQ(held.exit_code, 1);
  EXPECT_THAT(held.err,
              AllOf(HasSubstr("1 that do not: canary 'old'"), HasSubstr("says 'BB"), HasSubstr("old.jsonl")));
  EXPECT_FALSE(std::filesystem::exists(runs.folder.path() / "model"));
  EXPECT_EQ(runs.json("export run --out model --canaries new.jsonl")["canaries"], 1);
  EXPECT_THAT(tests::content_of(runs.folder.path() / "model" / "README.md"), HasSubstr("All 1 canaries hold"));
  EXPECT_EQ(runs.program("export run@0 --out base --canaries new.jsonl").exit_code, 1);
  EXPECT_EQ(runs.program("export run --out other --canaries nowhere.jsonl").exit_code, 2);
}

}  // namespace
}  // namespace anchorage
