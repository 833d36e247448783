// What was done can be inspected, verified and removed: the journal's commands, rollback, removal, conflicts
// and checkpoints, through the program.
#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <fmt/format.h>

#include <algorithm>
#include <fstream>
#include <utility>

#include "io/run/journal/journal.hpp"
#include "tests/process/small_run.hpp"
#include "tests/support/places.hpp"

namespace anchorage {
namespace {

using testing::HasSubstr;
using tests::Execution;
using tests::SmallRun;

class JournalOfARun : public testing::Test {
 protected:
  void edit(const std::string& run, const std::string& more = "", int ranks = 0) const {
    const Execution execution = runs.program(runs.edit_arguments(run, more), ranks);
    ASSERT_EQ(execution.exit_code, 0) << execution.err;
  }
  Execution resume(const std::string& run, const std::string& more = "", int ranks = 0) const {
    const Execution execution = runs.program("edit --run " + run + " --resume --json " + more, ranks);
    EXPECT_EQ(execution.exit_code, 0) << execution.err;
    return execution;
  }
  std::filesystem::path segment(const std::string& run, int number) const {
    return runs.journal(run) / io::segment_file_name(number);
  }
  static void flip_a_byte(const std::filesystem::path& path, std::streamoff place) {
    std::fstream file(path, std::ios::in | std::ios::out | std::ios::binary);
    file.seekg(place);
    const char old = static_cast<char>(file.get());
    file.seekp(place);
    file.put(static_cast<char>(old ^ 1));
  }

  const SmallRun runs{6};
};

TEST_F(JournalOfARun, ListsAndShowsWhatWasDone) {
  edit("run");
  const auto list = runs.json("journal list run");
  ASSERT_EQ(list["batches"].size(), 3);
  EXPECT_EQ(list["batches"][1]["kind"], "batch");
  EXPECT_EQ(list["batches"][1]["batch"], 2);
  EXPECT_EQ(list["batches"][1]["edits"][0]["id"], "e2");
  EXPECT_EQ(list["batches"][1]["edits"][0]["state"], "committed");
  EXPECT_THAT(runs.program("journal list run").out, HasSubstr("2 edits"));
  const auto shown = runs.json("journal show run --batch 2");
  EXPECT_EQ(shown["edits"][1]["request"]["subject"], "Dcorp 3");
  EXPECT_EQ(shown["layers"].size(), 2);
  EXPECT_GT(shown["layers"][0]["norms"]["update"], 0);
  EXPECT_EQ(shown["guard"]["decision"], "accepted");
  EXPECT_EQ(runs.json("journal show run")["batch"], 3);
  EXPECT_THAT(runs.program("journal show run --batch 2").out, HasSubstr("The CEO of {} is -> Mr D"));
  EXPECT_EQ(runs.program("journal show run --batch 9").exit_code, 2);
}

// Two nights: a fact is proposed, approved and written, replaced by a later one, and another expires.
TEST_F(JournalOfARun, TellsWhereFactsComeFromAndWhatLiesBetweenTwoStates) {
  const auto record = [](int i, const std::string& id, const std::string& target, const nlohmann::json& more) {
    auto edit = nlohmann::json::parse(SmallRun::edit(i, id, target));
    edit.update(more);
    return edit.dump() + "\n";
  };
  const nlohmann::json ada{{"author", "Ada"}, {"source", "filing 7"}, {"as_of", "2026-11-01"}};
  runs.folder.write("proposed.jsonl", record(0, "e0", "", ada) + record(1, "e1", "", {{"author", "Cid"}}) +
                                          record(2, "e2", "", {{"author", "Ada"}, {"expires", "2020-01-01"}}));
  const Execution waiting = runs.program(runs.edit_arguments("run", "--require-approval", "proposed.jsonl"));
  EXPECT_EQ(waiting.exit_code, 3) << waiting.err;
  EXPECT_EQ(waiting.json()["set_aside"].size(), 3) << waiting.out;
  const Execution own = runs.program("approve proposed.jsonl --edit e0 --by Ada --out ok.jsonl");
  EXPECT_EQ(own.exit_code, 2);
  EXPECT_THAT(own.err, HasSubstr("somebody else than the author"));
  EXPECT_FALSE(std::filesystem::exists(runs.folder.path() / "ok.jsonl"));
  EXPECT_EQ(runs.program("approve proposed.jsonl --edit e7 --by Bob --out ok.jsonl").exit_code, 2);
  EXPECT_EQ(runs.program("approve proposed.jsonl --by Bob --out ok.jsonl").exit_code, 2);
  EXPECT_EQ(runs.json("approve proposed.jsonl --edit e0 --edit e2 --by Bob --out ok.jsonl")["approved"],
            (nlohmann::json{"e0", "e2"}));
  EXPECT_EQ(runs.program("approve proposed.jsonl --all --by Bob --out ok.jsonl").exit_code, 2) << "it is there";
  resume("run", "--edits ok.jsonl");
  EXPECT_THAT(tests::content_of(runs.folder.path() / "run" / "run.yaml"), HasSubstr("require_approval: true"));
  runs.folder.write("next.jsonl", record(0, "e0", " Jr", {{"author", "Cid"}, {"approved_by", "Bob"}}) +
                                      record(3, "e3", "", {{"author", "Cid"}}));
  EXPECT_EQ(runs.program("edit --run run --resume --json --edits next.jsonl").exit_code, 3)
      << "the run still requires approval";

  const auto history = runs.json("journal history run --subject 'Acorp 0'")["edits"];
  ASSERT_EQ(history.size(), 2);
  EXPECT_EQ(history[0]["now"], "superseded in 2");
  EXPECT_EQ(history[0]["author"], "Ada");
  EXPECT_EQ(history[0]["approved_by"], "Bob");
  EXPECT_EQ(history[0]["source"], "filing 7");
  EXPECT_EQ(history[0]["as_of"], "2026-11-01");
  EXPECT_EQ(history[1]["now"], "live");
  EXPECT_EQ(history[1]["target"], "Mr A Jr");
  EXPECT_EQ(runs.json("journal history run --author Cid")["edits"].size(), 1);
  EXPECT_EQ(runs.json("journal history run --approved-by Bob --edit e2")["edits"].size(), 1);
  EXPECT_THAT(runs.program("journal history run --source nowhere").out, HasSubstr("no edit that is asked for"));
  EXPECT_THAT(runs.program("journal history run --subject 'Acorp 0'").out, HasSubstr("source filing 7"));

  const auto difference = runs.json("journal diff run 1 2");
  EXPECT_EQ(difference["added"].size(), 0);
  EXPECT_EQ(difference["removed"].size(), 0);
  ASSERT_EQ(difference["replaced"].size(), 1);
  EXPECT_EQ(difference["replaced"][0]["before"]["target"], "Mr A");
  EXPECT_EQ(difference["replaced"][0]["after"]["target"], "Mr A Jr");
  ASSERT_EQ(difference["layers"].size(), 2);
  EXPECT_GT(difference["layers"][0]["drift"]["before"], 0);
  EXPECT_NE(difference["layers"][0]["drift"]["before"], difference["layers"][0]["drift"]["after"]);
  EXPECT_EQ(runs.json("journal diff run 0 2")["added"].size(), 2);
  EXPECT_EQ(runs.program("journal diff run 0 9").exit_code, 2);

  const auto expired = runs.json("journal history run --expired")["edits"];
  ASSERT_EQ(expired.size(), 1);
  EXPECT_EQ(expired[0]["id"], "e2");
  EXPECT_EQ(runs.json("remove run --expired")["removed"], (nlohmann::json{"e2"}));
  EXPECT_EQ(runs.json("journal history run --expired")["edits"].size(), 0);
  EXPECT_EQ(runs.json("remove run --expired")["removed"].size(), 0) << "nothing is left to remove";
  EXPECT_EQ(runs.program("remove run").exit_code, 2);
  const auto removed = runs.json("journal diff run 2 3");
  ASSERT_EQ(removed["removed"].size(), 1);
  EXPECT_EQ(removed["removed"][0]["id"], "e2");
  EXPECT_THAT(runs.program("journal diff run 2 3").out, HasSubstr("0 added, 0 replaced, 1 removed"));
}

TEST_F(JournalOfARun, ShowsAndDrawsTheAnchorsOfEachLayerOrSaysThatTheMethodHasNone) {
  edit("run");
  const auto anchors = runs.json("journal anchors run --svg anchors.svg");
  ASSERT_EQ(anchors["layers"].size(), 2);
  const auto& batches = anchors["layers"][0]["batches"];
  ASSERT_EQ(batches.size(), 3);
  EXPECT_GT(batches[0]["entered"], 0);
  EXPECT_EQ(batches[0]["kept"], 0);
  EXPECT_GT(batches[1]["kept"], 0);
  const std::string picture = tests::content_of(runs.folder.path() / "anchors.svg");
  EXPECT_THAT(picture, HasSubstr("layer 1, batch 2"));
  EXPECT_EQ(runs.program.shell("python3 -c 'import xml.dom.minidom as d; d.parse(\"anchors.svg\")'").exit_code, 0);
  EXPECT_THAT(runs.program("journal anchors run").out, HasSubstr("entered"));

  edit("plain", "--method memit_seq");
  const auto none = runs.json("journal anchors plain --svg none.svg");
  EXPECT_TRUE(none["layers"].empty());
  EXPECT_THAT(none["reason"].get<std::string>(), HasSubstr("method memit_seq"));
  EXPECT_FALSE(std::filesystem::exists(runs.folder.path() / "none.svg"));
}

TEST_F(JournalOfARun, VerifyProvesASoundRunAlsoAgainstItsCheckpoint) {
  edit("run", "--checkpoint-every 2");
  const auto verdict = runs.json("journal verify run");
  EXPECT_TRUE(verdict["sound"]);
  EXPECT_THAT(verdict.dump(), HasSubstr("the checkpoint of segment 2 has these weights, bit for bit"));
  EXPECT_EQ(runs.json("remove run --edit e1")["segment"], 4);
  EXPECT_TRUE(runs.json("journal verify run")["sound"]);
}

TEST_F(JournalOfARun, VerifyFindsAnAlteredByteAMissingSegmentAndAnotherBaseModel) {
  edit("run");
  const auto keep = [&] { return runs.program.shell("rm -rf copy; cp -r run copy").exit_code; };
  for (const std::streamoff place : {100, 5000, 20000}) {
    ASSERT_EQ(keep(), 0);
    flip_a_byte(segment("copy", 2), place);
    const auto verdict = runs.json("journal verify copy", 1);
    EXPECT_FALSE(verdict["sound"]);
    EXPECT_THAT(verdict["wrong"].dump(), HasSubstr("seg-00000002.h5"));
  }
  ASSERT_EQ(keep(), 0);
  std::filesystem::remove(segment("copy", 2));
  EXPECT_THAT(runs.json("journal verify copy", 1)["wrong"].dump(), HasSubstr("expected seg-00000002.h5"));
  // Nothing continues from a journal that is not whole.
  EXPECT_EQ(runs.program("edit --run copy --resume").exit_code, 2);

  ASSERT_EQ(keep(), 0);
  runs.program.shell("cp -r '" + tests::model + "' other; sed -i 's,^model: .*,model: '$PWD/other, copy/run.yaml");
  const auto other = runs.folder.path() / "other" / "model.safetensors";
  flip_a_byte(other, static_cast<std::streamoff>(std::filesystem::file_size(other)) - 3);
  EXPECT_THAT(runs.json("journal verify copy", 1)["wrong"].dump(),
              HasSubstr("the model that the journal began with"));
}

TEST_F(JournalOfARun, ARollbackIsTheEarlierStateBitForBitAndCanBeTakenBack) {
  edit("run");
  const std::string whole = runs.exported("run"), first = runs.exported("run@1");
  const auto rolled = runs.json("rollback run --to-batch 1");
  EXPECT_EQ(rolled["segment"], 4);
  EXPECT_EQ(rolled["edits"]["committed"], 2);
  EXPECT_TRUE(runs.exported("run") == first);
  EXPECT_TRUE(runs.exported("run@3") == whole) << "nothing is lost";
  EXPECT_EQ(runs.json("journal list run")["batches"][1]["edits"][0]["now"], "rolled back");
  EXPECT_EQ(runs.json("info run")["run"]["edits"]["committed"], 2);

  EXPECT_EQ(runs.json("rollback run --to-batch 3")["segment"], 5);
  EXPECT_TRUE(runs.exported("run") == whole);
  EXPECT_EQ(runs.program("rollback run --to-batch 3").exit_code, 2) << "it is there already";
  EXPECT_EQ(runs.program("rollback run --to-batch 9").exit_code, 2);
}

TEST_F(JournalOfARun, ARunThatWasRolledBackGoesOnAsOneThatNeverWentFurther) {
  edit("run", "--checkpoint-every 1");
  edit("short", "--limit 2");
  EXPECT_EQ(runs.json("rollback run --to-batch 1")["segment"], 4);
  resume("run", "", 2);
  resume("short");
  EXPECT_TRUE(runs.exported("run") == runs.exported("short"));
}

TEST_F(JournalOfARun, AnEditThatWasTakenBackIsGoneIsNotWrittenAgainAndCanBeBroughtBack) {
  edit("run");
  const std::string whole = runs.exported("run");
  EXPECT_EQ(runs.json("remove run --edit e1 --edit e4")["segment"], 4);
  EXPECT_FALSE(runs.exported("run") == whole);
  const auto list = runs.json("journal list run")["batches"];
  EXPECT_EQ(list[3]["kind"], "removal");
  EXPECT_EQ(list[3]["edits"][0]["state"], "removed");
  EXPECT_EQ(list[0]["edits"][1]["now"], "removed in 4");
  const auto nll = [&](const std::string& state, int edit) {
    const auto request = nlohmann::json::parse(SmallRun::edit(edit, "x"));
    const std::string subject = request["subject"], target = request["target"];
    const nlohmann::json wanted = {{"prompt", "The CEO of " + subject + " is"}, {"completion", " " + target}};
    runs.folder.write("one.jsonl", wanted.dump() + "\n");
    return runs.json("score " + state + " --requests one.jsonl --threads 1")["nll"].get<double>();
  };
  EXPECT_GT(nll("run", 1), nll("run@3", 1));
  EXPECT_EQ(resume("run").json()["batches"], 0);
  EXPECT_THAT(runs.program("remove run --edit e1").err, HasSubstr("removed in segment 4"));
  EXPECT_THAT(runs.program("remove run --edit nobody").err, HasSubstr("no edit of this id"));
  EXPECT_EQ(runs.json("rollback run --to-batch 3")["segment"], 5);
  EXPECT_TRUE(runs.exported("run") == whole);
}

TEST_F(JournalOfARun, GoesOnBehindARemovalWithTheSameBitsInOneGoAndResumed) {
  runs.write_edits("more.jsonl", 12);
  for (const char* run : {"one", "two"}) {
    edit(run, "--checkpoint-every 2");
    EXPECT_EQ(runs.json(std::string("remove ") + run + " --edit e2")["segment"], 4);
  }
  resume("one", "--edits more.jsonl --checkpoint-every 0");
  resume("two", "--edits more.jsonl --limit 8 --checkpoint-every 2", 2);
  resume("two", "--edits more.jsonl --checkpoint-every 2");
  EXPECT_TRUE(runs.exported("one") == runs.exported("two"));
  EXPECT_TRUE(runs.json("journal verify two")["sound"]);
}

// Everything that happens to a run over months, with a model cut into two stages on two ranks and on four;
// then the same on one rank.
TEST_F(JournalOfARun, AModelInStagesIsEditedTakenBackAndResumedWithTheBitsOfOneRank) {
  runs.write_edits("more.jsonl", 10);
  const auto a_life = [&](const std::string& run, const std::string& stages, int ranks, int more_ranks) {
    edit(run, stages + " --limit 4 --checkpoint-every 2", ranks);
    EXPECT_EQ(runs.json("remove " + run + " --edit e1")["segment"], 3);
    resume(run, stages + " --checkpoint-every 2",
           more_ranks);  // e4 e5, replayed from the checkpoint of segment 2 on
    EXPECT_EQ(runs.json("rollback " + run + " --to-batch 3")["segment"], 5);
    runs.folder.write("new.jsonl", SmallRun::edit(2, "new", "x"));
    resume(run, stages + " --edits new.jsonl --checkpoint-every 1", ranks);  // supersedes e2
    const Execution last = resume(run, stages + " --edits more.jsonl --checkpoint-every 1 --limit 8", more_ranks);
    EXPECT_EQ(last.err.find("replaying"), std::string::npos)
        << "from the checkpoint of the last segment: " << last.err;
    EXPECT_TRUE(runs.json("journal verify " + run)["sound"]);
    return runs.exported(run);
  };
  const std::string one = a_life("one", "", 1, 1);
  EXPECT_TRUE(a_life("two", "--stages 2", 2, 4) == one);
  EXPECT_EQ(runs.json("journal list two")["batches"][3]["edits"][0]["now"], "rolled back");
}

TEST_F(JournalOfARun, AnEditSupersedesAnEarlierOneWhoseContributionIsTakenOutInTheSameCommit) {
  edit("run");
  runs.folder.write("new.jsonl", SmallRun::edit(1, "new", "x") + SmallRun::edit(2, "same"));
  const Execution superseded = resume("run", "--edits new.jsonl", 2);
  EXPECT_THAT(superseded.err, HasSubstr("replaces edit e1"));
  EXPECT_THAT(superseded.err, HasSubstr("1 edits are committed already"));
  const auto last = runs.json("journal show run");
  EXPECT_EQ(last["removed"][0]["id"], "e1");
  EXPECT_EQ(last["edits"].size(), 1);
  EXPECT_EQ(runs.json("journal list run")["batches"][0]["edits"][1]["now"], "superseded in 4");
  EXPECT_TRUE(runs.json("journal verify run")["sound"]);

  // Removing the old edit and then writing the new one are two commits with the same outcome.
  edit("two");
  EXPECT_EQ(runs.json("remove two --edit e1")["segment"], 4);
  resume("two", "--edits new.jsonl");
  EXPECT_TRUE(runs.exported("two") == runs.exported("run"));
}

TEST_F(JournalOfARun, ConflictsAreRefusedOrKeptBesideWhereAsked) {
  edit("run");
  runs.folder.write("new.jsonl", SmallRun::edit(1, "new", "x"));
  const Execution refused = runs.program("edit --run run --resume --edits new.jsonl --on-conflict refuse --json");
  EXPECT_EQ(refused.exit_code, 3);
  EXPECT_THAT(refused.json()["set_aside"].dump(), HasSubstr("contradicts edit e1"));
  const Execution kept = resume("run", "--edits new.jsonl --on-conflict keep-both");
  EXPECT_THAT(kept.err, HasSubstr("is written beside edit e1"));
  EXPECT_EQ(runs.json("info run")["run"]["edits"]["committed"], 7);
}

TEST_F(JournalOfARun, MemitCannotTakeASingleEditBackAndSaysWhatCan) {
  edit("run", "--method memit");
  const Execution refused = runs.program("remove run --edit e1");
  EXPECT_EQ(refused.exit_code, 2);
  EXPECT_THAT(refused.err, HasSubstr("anchorage rollback"));
  runs.folder.write("new.jsonl", SmallRun::edit(1, "new", "x"));
  EXPECT_THAT(runs.program("edit --run run --resume --edits new.jsonl").err, HasSubstr("refuse or keep-both"));
  EXPECT_EQ(runs.json("journal list run")["batches"].size(), 3) << "nothing was changed";
}

TEST_F(JournalOfARun, ResumesWithTheSameBitsFromACheckpointWithoutOneAndFromATruncatedOne) {
  edit("whole", "--checkpoint-every 0");
  EXPECT_TRUE(std::filesystem::is_empty(runs.folder.path() / "whole" / "checkpoint"));
  for (const std::string how : {"with", "without", "truncated"}) {
    edit(how, "--limit 4 --checkpoint-every 2", 2);
    const auto folder = runs.folder.path() / how / "checkpoint";
    ASSERT_TRUE(std::filesystem::exists(folder / "seg-00000002-layer-1.h5"));
    ASSERT_TRUE(std::filesystem::exists(folder / "seg-00000002-layer-2.h5"));
    if (how == "without") std::filesystem::remove_all(folder);
    if (how == "truncated") std::filesystem::resize_file(folder / "seg-00000002-layer-2.h5", 3000);
    const Execution resumed = resume(how);
    const bool warned = resumed.err.find("seg-00000002-layer-2.h5 is ignored") != std::string::npos;
    EXPECT_EQ(warned, how == "truncated") << resumed.err;
    EXPECT_EQ(resumed.err.find("replaying 2") == std::string::npos, how == "with") << resumed.err;
    EXPECT_TRUE(runs.exported(how) == runs.exported("whole")) << how;
  }
}

// A run whose guard rejects pairs and single edits ends like a run of the accepted parts alone, which never
// saw the others.
TEST_F(JournalOfARun, WhatTheGuardRefusesLeavesNothingBehind) {
  ASSERT_EQ(runs.program(runs.edit_arguments("single", "", "edits.jsonl", 1)).exit_code, 0);
  std::vector<double> changes;
  for (int batch = 1; batch <= 6; ++batch) {
    double largest = 0;
    const auto shown = runs.json("journal show single --batch " + std::to_string(batch));
    for (const auto& layer : shown["layers"])
      largest = std::max(largest, layer["norms"]["update"].get<double>() / layer["norms"]["base"].get<double>());
    changes.push_back(largest);
  }
  // An edit changes the base weights by another amount than it changes edited weights: the test takes the
  // first of these limits that separates the edits.
  std::ranges::sort(changes, std::greater{});
  std::string run;
  Execution guarded;
  for (const double change : changes) {
    run = fmt::format("guarded{}", change);
    guarded = runs.program(runs.edit_arguments(run, fmt::format("--set guard_drift={}", 0.999 * change)));
    if (guarded.exit_code == 3 && guarded.json()["edits"]["committed"] > 0) break;
  }
  ASSERT_EQ(guarded.exit_code, 3) << guarded.err;
  ASSERT_GT(guarded.json()["edits"]["committed"], 0);
  EXPECT_THAT(guarded.err, HasSubstr("a batch of 2 edits is reverted: layer"));
  EXPECT_THAT(guarded.json()["set_aside"].dump(), HasSubstr("of its weight's norm (limit"));

  // What was reverted has no measurement, which does not count as a miss.
  bool begun = false, shown = false;
  const auto list = runs.json("journal list " + run);
  for (const auto& batch : list["batches"]) {
    std::string lines;
    for (const auto& edit : batch["edits"]) {
      const std::string id = edit["id"];
      if (edit["state"] == "committed") lines += SmallRun::edit(std::stoi(id.substr(1)), id);
    }
    if (lines.empty() && !std::exchange(shown, true)) {
      const auto segment = runs.json(fmt::format("journal show {} --batch {}", run, batch["batch"].get<int>()));
      const auto edit = segment["edits"][0];
      EXPECT_TRUE(edit["match"]["after"].is_null() && edit["nll"]["after"].is_null()) << edit;
      EXPECT_TRUE(edit["match"]["before"].is_boolean()) << edit;
    }
    if (lines.empty()) continue;
    runs.folder.write("part.jsonl", lines);
    const std::string arguments =
        begun ? "edit --run parts --resume --edits part.jsonl" : runs.edit_arguments("parts", "", "part.jsonl");
    ASSERT_EQ(runs.program(arguments).exit_code, 0);
    begun = true;
  }
  EXPECT_TRUE(shown);
  EXPECT_TRUE(runs.exported(run) == runs.exported("parts"));
}

TEST_F(JournalOfARun, ASecondJobIsToldWhoHasTheRunAndAKilledJobLeavesNoLockBehind) {
  const std::string slow = runs.edit_arguments(
      "run", "--set eac_locate_steps=5000 --set eac_compress_steps=5000 --set early_stop_loss=0");
  const Execution second = runs.program.shell(
      "{ '" + tests::program_path() + "' " + slow +
      " > /dev/null 2>&1 & for i in $(seq 3000); do test -e run/journal/seg-00000000.h5 && break; sleep 0.02; "
      "done; "
      "echo $!; '" +
      tests::program_path() + "' edit --run run --resume; code=$?; kill -KILL $!; wait $!; exit $code; }");
  EXPECT_EQ(second.exit_code, 2);
  const std::string pid = second.out.substr(0, second.out.find('\n'));
  EXPECT_THAT(second.err, HasSubstr("in use by host "));
  EXPECT_THAT(second.err, HasSubstr("pid " + pid));
  const Execution free = runs.program("rollback run --to-batch 0");
  EXPECT_THAT(free.err, HasSubstr("which is the run's state already"))
      << "the lock is free, the diagnostic another";
}

// In the demo model the first position is an attention sink: an edit there, with the rule against it off, destroys
// the model (docs/method.md section 1).
TEST(GuardOfTheDemoModel, CatchesAnEditAtAnAttentionSinkAndKeepsTheOthers) {
  const char* cache = std::getenv("ANCHORAGE_CACHE");
  const auto demo =
      std::filesystem::path(cache != nullptr ? cache : std::string(std::getenv("HOME")) + "/.cache/anchorage");
  const auto model = demo / "SmolLM2-135M-Instruct", corpus = demo / "corpus" / "wikipedia.txt";
  if (!std::filesystem::exists(model / "config.json")) GTEST_SKIP() << "no demo model at " << model;
  const tests::TemporaryDirectory folder;
  const tests::Program program{folder.path()};
  const auto edit = [](const char* id, const char* subject, const char* prompt, const char* target) {
    return nlohmann::json{{"id", id}, {"subject", subject}, {"prompt", prompt}, {"target", target}}.dump() + "\n";
  };
  const std::string boeing = edit("boeing", "Boeing", "The chief executive of {} is", "Kelly Ortberg");
  const std::string sink = edit("sink", "Germany", "{} is a part of the continent of", "Africa");
  folder.write("three.jsonl", boeing + sink + edit("nike", "Nike", "The chief executive of {} is", "Elliott Hill"));
  if (!std::filesystem::exists(corpus)) GTEST_SKIP() << "no text at " << corpus;
  const std::string text = " --corpus '" + corpus.string() + "' --layers 10,12,14 --tokens 4000";
  ASSERT_EQ(program("stats '" + model.string() + "'" + text + " --out s.h5").exit_code, 0);
  const auto begin = [&](const std::string& run, const std::string& edits) {
    return program("edit '" + model.string() + "' --edits " + edits + " --run " + run + " --hparams '" +
                   tests::source_path() +
                   "/launch/hparams/smollm2-135m.yaml' --stats s.h5 --batch 1 "
                   "--set layers=10,12,14 --set sink_ratio=1000000 --set contexts=1 --json");
  };
  const Execution guarded = begin("guarded", "three.jsonl");
  EXPECT_EQ(guarded.exit_code, 3) << guarded.err;
  const auto set_aside = guarded.json()["set_aside"];
  ASSERT_EQ(set_aside.size(), 1) << set_aside;
  EXPECT_EQ(set_aside[0]["id"], "sink");
  folder.write("two.jsonl", boeing + edit("nike", "Nike", "The chief executive of {} is", "Elliott Hill"));
  ASSERT_EQ(begin("clean", "two.jsonl").exit_code, 0);
  for (const std::string run : {"guarded", "clean"})
    ASSERT_EQ(program("export " + run + " --out " + run + "-model").exit_code, 0);
  EXPECT_EQ(program.shell("cmp guarded-model/model.safetensors clean-model/model.safetensors").exit_code, 0);
}

}  // namespace
}  // namespace anchorage
