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

class CanariesOfARun : public testing::Test {
 protected:
  const SmallRun runs{4};
};

// Two edits per batch; what the first is about must be answered as before.
TEST_F(CanariesOfARun, TheEditThatBreaksOneIsSetAsideAloneOnAnyNumberOfRanks) {
  runs.folder.write("canaries.jsonl", R"({"id": "first", "prompt": "The CEO of Acorp 0 is"})");
  for (const int ranks : {0, 2}) {
    const std::string run = "run" + std::to_string(ranks);
    const Execution execution = runs.program(
        runs.edit_arguments(run, "--canaries canaries.jsonl" + std::string(ranks > 0 ? " --stages 2" : "")), ranks);
    EXPECT_EQ(execution.exit_code, 3) << execution.err;
    const auto set_aside = execution.json()["set_aside"];
    ASSERT_EQ(set_aside.size(), 1) << execution.out;
    EXPECT_THAT(set_aside[0].dump(),
                AllOf(HasSubstr("e0"), HasSubstr("canary 'first' broke: to 'The CEO of Acorp 0 is' the model says"),
                      HasSubstr("Mr A")));
  }
  EXPECT_EQ(runs.exported("run0"), runs.exported("run2"));
  const auto shown = runs.json("journal show run0 --batch 2");
  EXPECT_THAT(shown["guard"].dump(), HasSubstr("canaries that hold"));
  EXPECT_THAT(tests::content_of(runs.folder.path() / "run0" / "run.yaml"), HasSubstr("canaries.jsonl"));

  // A run keeps its canaries.
  runs.folder.write("again.jsonl", SmallRun::edit(0, "e9", " Jr") + SmallRun::edit(4, "e4"));
  const Execution resumed = runs.program("edit --run run0 --resume --json --edits again.jsonl");
  EXPECT_EQ(resumed.exit_code, 3) << resumed.err;
  EXPECT_THAT(resumed.out, HasSubstr("canary 'first' broke"));
  EXPECT_EQ(runs.program("export run0 --out kept --canaries canaries.jsonl").exit_code, 0);
}

TEST_F(CanariesOfARun, AnExportIsHeldBackWhereOneDoesNotHold) {
  runs.folder.write("old.jsonl", R"({"id": "old", "prompt": "The CEO of Bcorp 1 is"})");
  runs.folder.write("new.jsonl", R"({"id": "new", "prompt": "The CEO of Bcorp 1 is", "answer": "Mr B"})");
  const Execution edited = runs.program(runs.edit_arguments("run", "--canaries new.jsonl"));
  ASSERT_EQ(edited.exit_code, 0) << "one that did not hold before cannot break: " << edited.err;
  const Execution held = runs.program("export run --out model --canaries old.jsonl");
  EXPECT_EQ(held.exit_code, 1);
  EXPECT_THAT(held.err, AllOf(HasSubstr("1 that do not: canary 'old'"), HasSubstr("Mr B"), HasSubstr("old.jsonl")));
  EXPECT_FALSE(std::filesystem::exists(runs.folder.path() / "model"));
  const auto exported = runs.json("export run --out model --canaries new.jsonl");
  EXPECT_EQ(exported["canaries"], 1);
  EXPECT_THAT(tests::content_of(runs.folder.path() / "model" / "README.md"), HasSubstr("All 1 canaries hold"));
  EXPECT_EQ(runs.program("export run@0 --out base --canaries new.jsonl").exit_code, 1);
  EXPECT_EQ(runs.program("export run --out other --canaries nowhere.jsonl").exit_code, 2);
}

}  // namespace
}  // namespace anchorage
