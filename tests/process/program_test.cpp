// The program from statistics to an exported model, on a small random model.
#include "tests/process/program_test.hpp"
#include "tests/support/places.hpp"

#include <gmock/gmock.h>

#include <algorithm>
#include <set>

namespace anchorage {
namespace {

using testing::HasSubstr;
using tests::corpus;
using tests::edits;
using tests::Execution;
using tests::known_facts;
using tests::model;
using tests::ProgramTest;

// So many steps that a signal comes in time.
constexpr auto slow = "--set eac_locate_steps=250 --set eac_compress_steps=250 --set early_stop_loss=0";

TEST_F(ProgramTest, HelpShowsDefaultsAndWhichOptionsAreNeeded) {
  const std::string edit = program("edit --help").out;
  for (const char* shown :
       {"--batch", "=32", "--method", "=b-eac", "b-eac, memit, memit_seq, eac, alphaedit", "--grace", "=150",
        "--run TEXT REQUIRED", "--on-conflict", "=supersede", "--stages", "=auto", "needed for a new run"}) {
    EXPECT_THAT(edit, HasSubstr(shown));
  }
  EXPECT_THAT(edit, Not(HasSubstr("=[]")));
  EXPECT_THAT(program("plan --help").out, HasSubstr("--hparams TEXT REQUIRED"));
  EXPECT_THAT(program("stats --help").out, HasSubstr("=100000"));
  EXPECT_THAT(program("generate --help").out, HasSubstr("--max-new-tokens"));
}

TEST_F(ProgramTest, EditsOnOneTwoAndThreeRanksExportTheSameBytes) {
  std::string one;
  for (const int ranks : {1, 2, 3}) {
    const std::string run = "run" + std::to_string(ranks);
    const Execution execution = program(edit_arguments(run), ranks);
    ASSERT_EQ(execution.exit_code, 0) << execution.err;
    const auto result = execution.json();
    EXPECT_EQ(result["ranks"], ranks);
    EXPECT_EQ(result["edits"]["committed"], 5);
    EXPECT_EQ(result["batches"], 3);
    const std::string bytes = exported(run);
    if (ranks == 1) one = bytes;
    EXPECT_TRUE(bytes == one) << ranks << " ranks";
  }
  EXPECT_FALSE(one == tests::content_of(std::filesystem::path(model) / "model.safetensors"));
}

TEST_F(ProgramTest, EditsOverStagesAndReplicasExportTheSameBytesAndHoldAStageOfTheWeightsEach) {
  ASSERT_EQ(program(edit_arguments("run1"), 1).exit_code, 0);
  const std::string one = exported("run1");
  const auto whole = program("info '" + model + "' --json").json()["weight_bytes"].get<double>();
  for (const auto& [ranks, stages] : {std::pair{2, 2}, {4, 2}, {4, 4}}) {
    const std::string run = "run" + std::to_string(ranks) + "-" + std::to_string(stages);
    const Execution execution = program(edit_arguments(run, "--stages " + std::to_string(stages)), ranks);
    ASSERT_EQ(execution.exit_code, 0) << execution.err;
    const auto result = execution.json();
    EXPECT_EQ(result["stages"], stages);
    EXPECT_EQ(result["replicas"], ranks / stages);
    ASSERT_EQ(result["weight_bytes"].size(), static_cast<std::size_t>(ranks));
    for (const double held : result["weight_bytes"]) EXPECT_LT(held, 0.9 * whole);
    const auto& traffic = result["traffic"];
    for (const char* operation :
         {"hand over residual stream", "broadcast captured activations", "broadcast injected keys"}) {
      EXPECT_GT(traffic["stages"][operation]["bytes"], 0) << operation;
    }
    EXPECT_EQ(traffic["host"]["receive command"]["calls"].get<int>() % ranks, 0);
    EXPECT_TRUE(traffic["replicas"].contains("gather anchor candidates"));
    for (const auto& [place, operations] : traffic.items()) {
      for (const auto& [name, of_operation] : operations.items()) {
        EXPECT_GT(of_operation["calls"], 0) << place << " " << name;
        EXPECT_GE(of_operation["bytes"], 0) << place << " " << name;
        EXPECT_GE(of_operation["seconds"], of_operation["longest"]) << place << " " << name;
        EXPECT_GE(of_operation["longest"], 0) << place << " " << name;
      }
    }
    EXPECT_NE(execution.err.find("between the ranks: "), std::string::npos) << execution.err;
    EXPECT_TRUE(exported(run) == one) << stages << " stages on " << ranks << " ranks";
  }
}

// In groups of two: both facts of Boeing, then Nike's.
TEST_F(ProgramTest, TwoFactsOfOneSubjectInABatchAreBothWrittenWithTheSameBytesOnRanksOfAnyShape) {
  folder.write("boeing.jsonl", R"({"id": "a", "subject": "Boeing", "prompt": "The CEO of {} is", "target": "Kelly"}
{"id": "b", "subject": "Nike", "prompt": "The CEO of {} is", "target": "Elliott Hill"}
{"id": "c", "subject": "Boeing", "prompt": "{} has its seat in", "target": "Arlington"}
)");
  const auto bytes_of = [&](const std::string& run, const std::string& more, int ranks) {
    const Execution execution = program(tests::small_edit(run, more, "boeing.jsonl", 3), ranks);
    EXPECT_EQ(execution.exit_code, 0) << execution.err;
    EXPECT_EQ(execution.json()["edits"]["committed"], 3);
    return exported(run);
  };
  const std::string one = bytes_of("one", "", 1);
  EXPECT_TRUE(bytes_of("replicas", "", 2) == one);
  EXPECT_TRUE(bytes_of("stages", "--stages 2", 2) == one);
  EXPECT_FALSE(bytes_of("separate", "--set merge_subjects=off", 1) == one);
  const auto shown = program("journal show one --json").json()["edits"];
  ASSERT_EQ(shown.size(), 3U);
  double before = 0, after = 0;
  for (std::size_t i = 0; i < 3; ++i) {
    EXPECT_EQ(shown[i]["id"], std::string(1, static_cast<char>('a' + i))) << "the journal has the file's order";
    if (i == 1) continue;
    before += shown[i]["nll"]["before"].get<double>();
    after += shown[i]["nll"]["after"].get<double>();
  }
  EXPECT_LT(after, before);
}

TEST_F(ProgramTest, StagesScoreGenerateAndCollectWhatOneRankDoes) {
  folder.write("requests.jsonl", R"({"prompt": "The CEO of Nike is", "completion": " Bob"})"
                                 "\n");
  const auto same = [&](const std::string& arguments) {
    const auto one = program(arguments + " --threads 1 --json", 1),
               two = program(arguments + " --threads 1 --json --stages 2", 2),
               four = program(arguments + " --threads 1 --json --stages 2", 4);
    EXPECT_EQ(four.exit_code, 0) << four.err;
    EXPECT_EQ(two.out, one.out) << two.err;
    EXPECT_EQ(four.out, one.out) << four.err;
  };
  same("score '" + model + "' --requests requests.jsonl");
  same("generate '" + model + "' --prompt 'The' --max-new-tokens 8 --temperature 3");
  same("eval '" + model + "' --edits edits.jsonl --generate --max-new-tokens 4 --heldout '" + corpus +
       "' --sequence-length 100");
  ASSERT_EQ(collect(2, "two.h5", "--stages 2").exit_code, 0);
  EXPECT_EQ(program.shell("h5diff s.h5 two.h5").exit_code, 0);
}

TEST_F(ProgramTest, PlansFromAConfigAloneWhoHoldsWhatAndDoesWhat) {
  std::filesystem::create_directory(folder.path() / "config");
  std::filesystem::copy(model + "/config.json", folder.path() / "config");
  const auto plan = program("plan config --hparams h.yaml --ranks 4 --stages 2 --json").json();
  EXPECT_EQ(plan["stages"], 2);
  EXPECT_EQ(plan["replicas"], 2);
  ASSERT_EQ(plan["ranks"].size(), 4U);
  std::multiset<int> layers;
  std::int64_t slabs = 0;
  for (const auto& rank : plan["ranks"]) {
    for (const auto& range : rank["layers"]) {
      for (int layer = range[0]; layer <= range[1]; ++layer) layers.insert(layer);
    }
    slabs += rank["slabs"].get<std::int64_t>();
    const auto held = [&](const char* kind) { return rank["bytes"][kind].get<std::int64_t>(); };
    EXPECT_EQ(rank["bytes"]["total"],
              held("weights") + held("masters") + held("least_squares") + held("checkpoint") + held("runtime") +
                  std::max(held("starting"),
                           held("subjects") + std::max(held("activations") + held("caches"), held("batch"))));
    EXPECT_GT(rank["busy"], 0);
    EXPECT_LE(rank["busy"], 1);
    EXPECT_GT(rank["seconds_by_activity"]["forward"], 0);
  }
  EXPECT_EQ(layers.size(), 2U * std::set<int>(layers.begin(), layers.end()).size());
  EXPECT_GE(slabs, 2);  // one of each edited layer
  EXPECT_GT(plan["seconds_per_batch"]["total"], 0);
  EXPECT_THAT(program("plan config --hparams h.yaml --ranks 4").out,
              testing::AllOf(HasSubstr("1 stages x 4 replicas"), HasSubstr("Tflop/s per rank, assumed")));
  const Execution measured = program("plan config --hparams h.yaml --ranks 1 --cpu --measure --threads 1");
  EXPECT_THAT(measured.out, HasSubstr("Tflop/s per rank, as measured now")) << measured.err;
  EXPECT_EQ(program("plan config --hparams h.yaml --ranks 1 --measure").exit_code, 2);
}

TEST_F(ProgramTest, PlansManyMachinesAndTheSmallestForANight) {
  const std::string plan = "plan '" + model + "' --hparams h.yaml ";
  const auto rows = program(plan + "--sweep 1,4 --batch 8,16 --json").json();
  ASSERT_EQ(rows.size(), 4U);
  EXPECT_EQ(rows[1]["ranks"], 1);
  EXPECT_EQ(rows[1]["batch"], 16);
  EXPECT_GT(rows[3]["efficiency"], 0);
  const auto cramped = program(plan + "--sweep 1 --memory 0.1 --json").json();
  EXPECT_THAT(cramped[0]["refusal"], HasSubstr("found 0.1 GB"));
  const auto night = program(plan + "--hours 8 --edits 100 --json").json();
  EXPECT_EQ(night["ranks"], 1);
  EXPECT_LE(night["hours"], 8);
  EXPECT_THAT(program(plan + "--sweep 1,4").out, HasSubstr("rank-s per edit"));
  for (const char* wrong :
       {"", "--ranks 1 --sweep 2", "--ranks 1 --batch 2,3", "--hours 1", "--sweep 1,x", "--sweep 1 --trace t.json"})
    EXPECT_EQ(program(plan + wrong).exit_code, 2) << wrong;
}

// One row a rank, and on it one box an activity.
TEST_F(ProgramTest, APlanIsTracedInChromesFormat) {
  const auto plan =
      program("plan '" + model + "' --hparams h.yaml --ranks 2 --stages 2 --batch 4 --trace t.json --json").json();
  std::ifstream file(folder.path() / "t.json");
  const auto trace = nlohmann::json::parse(file);
  std::set<int> rows, busy;
  double end = 0;
  for (const auto& event : trace["traceEvents"]) {
    if (event["ph"] == "M") {
      if (event["name"] == "thread_name") rows.insert(event["tid"].get<int>());
      continue;
    }
    EXPECT_EQ(event["ph"], "X");
    busy.insert(event["tid"].get<int>());
    end = std::max(end, event["ts"].get<double>() + event["dur"].get<double>());
  }
  EXPECT_EQ(rows.size(), 2U);
  EXPECT_EQ(busy, rows);
  EXPECT_NEAR(end / 1e6, plan["seconds_per_batch"]["total"], 1e-3);
}

// A rank holds the bytes of weights that `plan` states.
TEST_F(ProgramTest, PlannedWeightsAreTheMeasuredOnes) {
  const auto result = program(edit_arguments("run", "--stages 2"), 2).json();
  const auto plan =
      program("plan '" + model + "' --hparams h.yaml --ranks 2 --stages 2 --cpu --batch 2 --json").json();
  for (std::size_t rank = 0; rank < 2; ++rank) {
    EXPECT_EQ(plan["ranks"][rank]["bytes"]["weights"], result["weight_bytes"][rank]);
  }
}

// Checks what ranks report that they hold, with a cut by the planner for a requested number of stages.
TEST_F(ProgramTest, ARankOfTwoStagesHoldsAtMostTwoThirdsOfTheDemoModel) {
  std::ifstream file(tests::golden_path() + "/demo_model/reference.json");
  if (!file) GTEST_SKIP() << "the demo model is not here: launch/quickstart gets it";
  const auto demo = "'" + nlohmann::json::parse(file)["model"].get<std::string>() + "'";
  const Execution statistics = program("stats " + demo + " --corpus '" + tests::source_path() +
                                       "/docs/method.md' --layers 4 --tokens 2500 --out demo.h5");
  ASSERT_EQ(statistics.exit_code, 0) << statistics.err;
  const Execution edited =
      program("edit " + demo +
                  " --edits edits.jsonl --run demo --stats demo.h5 --stages 2 --limit 1 --json "
                  "--hparams '" +
                  tests::source_path() +
                  "/launch/hparams/smollm2-135m.yaml' --set layers=4 --set contexts=1 "
                  "--set eac_locate_steps=1 --set eac_compress_steps=1 --set guard=off",
              2);
  ASSERT_EQ(edited.exit_code, 0) << edited.err;
  const auto whole = program("info " + demo + " --json").json()["weight_bytes"].get<double>();
  const nlohmann::json report = edited.json();
  ASSERT_EQ(report["weight_bytes"].size(), 2U);
  for (const double held : report["weight_bytes"]) EXPECT_LE(held, 2.0 / 3 * whole);
}

TEST_F(ProgramTest, StatisticsAreTheSameOnOneAndThreeRanks) {
  ASSERT_EQ(collect(3, "three.h5").exit_code, 0);
  EXPECT_EQ(program.shell("h5diff s.h5 three.h5").exit_code, 0);
}

// One relation: 30 subjects, two templates.
std::string list_of_subjects() {
  nlohmann::json subjects = nlohmann::json::array();
  for (int i = 0; i < 30; ++i)
    subjects.push_back(std::string(static_cast<std::size_t>(1 + i % 4), static_cast<char>('A' + i % 26)) + "son");
  return nlohmann::json{{"templates", {"{} was born in", "The mother of {} is"}}, {"subjects", subjects}}.dump();
}

TEST_F(ProgramTest, StatisticsOfSubjectsAreTheSameOnOneAndThreeRanksAndInOneCommandOrTwo) {
  folder.write("subjects.jsonl", list_of_subjects());
  const Execution three = collect(3, "three.h5", "--subjects subjects.jsonl");
  ASSERT_EQ(three.exit_code, 0) << three.err;
  EXPECT_EQ(three.json()["tokens"], 1500);
  EXPECT_EQ(three.json()["subjects"]["rows"], 60);
  EXPECT_EQ(three.json()["subjects"]["left_out"], 0);
  ASSERT_EQ(collect(1, "one.h5").exit_code, 0);
  const Execution added = collect(1, "one.h5", "--subjects subjects.jsonl");
  ASSERT_EQ(added.exit_code, 0) << added.err;
  EXPECT_EQ(added.json()["tokens_resumed"], 1500) << "the text's are not collected again";
  for (const std::string name : {"moment", "subject_moment"}) {
    for (const std::string layer : {"1", "2"}) {
      const std::string path = "/layers/" + layer + "/" + name;
      EXPECT_EQ(program.shell("h5diff one.h5 three.h5 " + path).exit_code, 0) << path;
    }
  }
  const std::string before = tests::content_of(folder.path() / "one.h5");
  EXPECT_EQ(collect(1, "one.h5", "--subjects subjects.jsonl").json()["subjects"]["rows"], 60);
  EXPECT_EQ(collect(1, "one.h5").json().count("subjects"), 0U);
  EXPECT_TRUE(tests::content_of(folder.path() / "one.h5") == before) << "they were there";
}

TEST_F(ProgramTest, AddingSubjectsEndsNoRunAndTheirShareChangesWhatIsWritten) {
  ASSERT_EQ(program(edit_arguments("whole")).exit_code, 0);
  ASSERT_EQ(program(edit_arguments("parts", "--limit 2")).exit_code, 0);
  folder.write("subjects.jsonl", list_of_subjects());
  const Execution added = program("stats '" + model + "' --subjects subjects.jsonl --out s.h5 --threads 1 --json");
  ASSERT_EQ(added.exit_code, 0) << added.err;
  EXPECT_EQ(added.json()["layers"], (std::vector<int>{1, 2}));

  const Execution rest = program("edit --run parts --resume --json");
  ASSERT_EQ(rest.exit_code, 0) << rest.err;
  const std::string parts = exported("parts");
  EXPECT_TRUE(parts == exported("whole"));
  const Execution removed = program("remove whole --edit a --json");
  EXPECT_EQ(removed.exit_code, 0) << removed.err;

  const Execution half = program(edit_arguments("half", "--set subject_share=0.5 --limit 2"));
  ASSERT_EQ(half.exit_code, 0) << half.err;
  const Execution resumed = program("edit --run half --resume --json");
  ASSERT_EQ(resumed.exit_code, 0) << resumed.err;
  EXPECT_FALSE(exported("half") == parts);
  EXPECT_EQ(program("remove half --edit a").exit_code, 0);
  EXPECT_EQ(program("journal verify half").exit_code, 0);
}

TEST_F(ProgramTest, EvaluationLeavesOutWhatItCannotUseAndSaysSo) {
  const std::string longer = R"({"subject": "Intel", "prompt": "The CEO of {} is )" + std::string(20000, 'x') +
                             R"(", "target": "A", "ground_truth": "B"})" + "\n";
  folder.write("mixed.jsonl",
               std::string(edits) + longer + R"({"subject": "Nobody", "prompt": "Who?", "target": "A"})" + "\n");
  const Execution mixed = program("eval '" + model + "' --edits mixed.jsonl --json");
  ASSERT_EQ(mixed.exit_code, 0) << mixed.err;
  EXPECT_EQ(mixed.json()["n"], 6);
  EXPECT_EQ(mixed.json()["rejected"], 1);
  EXPECT_THAT(mixed.err, HasSubstr("mixed.jsonl"));
  EXPECT_THAT(mixed.err, HasSubstr("1 of efficacy, 0 of paraphrase, 0 of neighborhood"));
  auto plain = program("eval '" + model + "' --edits edits.jsonl --json").json();
  EXPECT_EQ(plain["efficacy"]["left_out"], 0);
  plain["efficacy"]["left_out"] = 1;
  EXPECT_EQ(mixed.json()["efficacy"], plain["efficacy"]) << "the long prompt is not scored";
  EXPECT_EQ(plain["rejected"], 0);
}

TEST_F(ProgramTest, StatisticsOfRomeAreImportedAndEditTheSame) {
  folder.write("to_npz.py", R"(
import h5py, numpy
with h5py.File("s.h5") as file:
    for layer in ("1", "2"):
        moment = file["layers"][layer]["moment"][:].astype(numpy.float64)
        numpy.savez(f"mom2-{layer}.npz", **{"mom2.mom2": moment * 1500, "mom2.count": numpy.array(1500)})
)");
  ASSERT_EQ(program.shell("'" + tests::python_path() + "' to_npz.py").exit_code, 0);
  const std::string stats = "stats '" + model + "' --out rome.h5 ";
  const Execution imported = program(stats + "--rome 1=mom2-1.npz,2=mom2-2.npz --json", 2);
  ASSERT_EQ(imported.exit_code, 0) << imported.err;
  EXPECT_EQ(imported.json()["tokens"], 1500);
  EXPECT_THAT(imported.err, HasSubstr("attention sinks are not looked for"));
  ASSERT_EQ(program(edit_arguments("own")).exit_code, 0);
  std::filesystem::rename(folder.path() / "rome.h5", folder.path() / "s.h5");
  const Execution edited = program(edit_arguments("theirs"));
  ASSERT_EQ(edited.exit_code, 0) << edited.err;
  EXPECT_TRUE(exported("theirs") == exported("own"));

  for (const char* wrong : {"--rome mom2-1.npz", "--rome 1=mom2-1.npz,1=mom2-2.npz", "--rome 9=mom2-1.npz", "",
                            "--rome 1=mom2-1.npz --layers 1"}) {
    EXPECT_EQ(program(stats + wrong).exit_code, 2) << wrong;
  }
}

TEST_F(ProgramTest, ARunInTwoPartsEqualsAnUndisturbedOne) {
  ASSERT_EQ(program(edit_arguments("whole"), 2).exit_code, 0);
  const Execution begun = program(edit_arguments("parts", "--limit 2"), 2);
  ASSERT_EQ(begun.exit_code, 0);
  EXPECT_THAT(begun.err, HasSubstr("2 edits to apply in 1 batches"));
  const Execution rest = program("edit --run parts --resume --json --quiet", 1);
  ASSERT_EQ(rest.exit_code, 0) << rest.err;
  EXPECT_THAT(rest.err, testing::Not(HasSubstr("edits to apply"))) << "--quiet";
  EXPECT_THAT(rest.err, testing::Not(HasSubstr("edits/s"))) << "--quiet";
  EXPECT_EQ(rest.json()["edits"]["committed"], 3);
  EXPECT_TRUE(exported("parts") == exported("whole"));
}

TEST_F(ProgramTest, ARunGoesOnInTheDtypeThatItBeganWith) {
  ASSERT_EQ(program(edit_arguments("whole", "--dtype bf16")).exit_code, 0);
  ASSERT_EQ(program(edit_arguments("parts", "--dtype bf16 --limit 2")).exit_code, 0);
  const Execution other = program("edit --run parts --resume --dtype fp32");
  EXPECT_EQ(other.exit_code, 2);
  EXPECT_THAT(other.err, HasSubstr("the dtype that the run began with, bf16"));
  ASSERT_EQ(program("edit --run parts --resume").exit_code, 0);
  ASSERT_EQ(program(edit_arguments("single")).exit_code, 0);
  const std::string whole = exported("whole");
  EXPECT_TRUE(exported("parts") == whole);
  EXPECT_FALSE(exported("single") == whole) << "the dtype decides";
}

TEST_F(ProgramTest, ASignalEndsTheRunBehindABatchAndResumeGoesOn) {
  // Signalled as soon as the first batch is committed.
  const Execution stopped = program.shell(
      "'" + tests::program_path() + "' " + edit_arguments("stopped", slow, 1) +
      " & for i in $(seq 3000); do test -e stopped/journal/seg-00000001.h5 && break; sleep 0.02; done; "
      "kill -TERM $!; wait $!");
  ASSERT_EQ(stopped.exit_code, 75) << stopped.err;
  EXPECT_TRUE(stopped.json()["stopped"]);
  const Execution rest = program("edit --run stopped --resume --json");
  EXPECT_EQ(rest.exit_code, 0) << rest.err;
  EXPECT_EQ(stopped.json()["batches"].get<int>() + rest.json()["batches"].get<int>(), 5);
}

TEST_F(ProgramTest, ASignalToMpirunEndsTheRunOfTwoRanksBehindABatch) {
  const Execution stopped = program.shell(
      tests::mpirun(2) + "'" + tests::program_path() + "' " + edit_arguments("stopped", slow, 1) +
      " & for i in $(seq 3000); do test -e stopped/journal/seg-00000001.h5 && break; sleep 0.02; done; "
      "kill -USR1 $!; wait $!");
  EXPECT_EQ(stopped.exit_code, 75) << stopped.err;
  EXPECT_TRUE(stopped.json()["stopped"]);
}

TEST_F(ProgramTest, ARunIsAModelWhereverAModelIsRead) {
  ASSERT_EQ(program(edit_arguments("run")).exit_code, 0);
  const auto scores = [&](const std::string& what) {
    const Execution execution = program("eval " + what + " --edits edits.jsonl --json --threads 1");
    EXPECT_EQ(execution.exit_code, 0) << execution.err;
    return execution.json();
  };
  exported("run");
  EXPECT_EQ(scores("run"), scores("run-model"));
  EXPECT_EQ(scores("run@0"), scores("'" + model + "'"));
  EXPECT_GT(scores("run")["efficacy"]["magnitude"], scores("run@0")["efficacy"]["magnitude"]);
  EXPECT_EQ(scores("run")["n"], 5);
}

TEST_F(ProgramTest, EvaluationIsTheSameOnOneAndTwoRanks) {
  const std::string arguments = "eval '" + model + "' --edits edits.jsonl --heldout '" + corpus +
                                "' --sequence-length 100 --json --threads 1";
  EXPECT_EQ(program(arguments, 1).json(), program(arguments, 2).json());
}

TEST_F(ProgramTest, WhatEvaluationGeneratesIsWhatGenerateSaysAndAllTheSameAsBefore) {
  const std::string arguments =
      "eval '" + model + "' --edits edits.jsonl --generate --max-new-tokens 8 --threads 1 ";
  const Execution before = program(arguments + "--json");
  ASSERT_EQ(before.exit_code, 0) << before.err;
  const auto generation = before.json()["generation"];
  EXPECT_EQ(generation["max_new_tokens"], 8);
  EXPECT_FALSE(generation["neighborhood"].contains("same"));
  EXPECT_EQ(generation["prompts"]["edits"], 5);
  EXPECT_EQ(generation["prompts"]["exact_interval"].size(), 2U);
  ASSERT_EQ(generation["texts"].size(), 5U);
  const auto said = [&](const std::string& prompt) {
    const auto text = program("generate '" + model + "' --prompt '" + prompt + "' --max-new-tokens 8 --json")
                          .json()["text"]
                          .get<std::string>();
    const std::size_t first = text.find_first_not_of(" \n");
    return first == text.npos ? text : text.substr(0, text.find_first_of(".\n", first + 1));
  };
  const auto& first = generation["texts"][0];
  EXPECT_EQ(first["id"], "a");
  EXPECT_EQ(first["prompt"], said("The CEO of Boeing is"));
  EXPECT_EQ(first["paraphrases"], nlohmann::json::array({said("Boeing is led by")}));
  EXPECT_EQ(first["neighborhood"], nlohmann::json::array({said("The CEO of Nvidia is")}));

  folder.write("before.json", before.out);
  auto now = program(arguments + "--json --baseline before.json", 2).json()["generation"];
  EXPECT_EQ(now["neighborhood"]["same"], 1);
  EXPECT_TRUE(now["neighborhood"]["same_interval"].is_null()) << "one edit has a neighborhood";
  now["neighborhood"].erase("same");
  now["neighborhood"].erase("same_interval");
  EXPECT_EQ(now, generation) << "on two ranks";
  EXPECT_THAT(program(arguments + "--baseline before.json").out,
              HasSubstr("1.000 of the neighborhood's texts are the baseline's, over 1 edits\n"));
}

TEST_F(ProgramTest, TasksAreTheSameOnOneTwoAndThreeRanks) {
  folder.write("known.json", known_facts());
  const std::string arguments = "eval '" + model + "' --tasks known=known.json --json --threads 1";
  const auto one = program(arguments, 1).json();
  EXPECT_EQ(one["tasks"]["known"]["questions"], 40);
  EXPECT_EQ(program(arguments, 2).json(), one);
  EXPECT_EQ(program(arguments, 3).json(), one);
  EXPECT_FALSE(one.contains("efficacy"));
}

// This model repeats the last word: every other question is one that it answers.
TEST_F(ProgramTest, KeptIsTheShareOfTheAnswersBeforeThatAreStillGiven) {
  std::string facts;
  for (int i = 0; i < 6; ++i) {
    const std::string prompt = "The CEO of Company " + std::to_string(i) + " sits in";
    facts += nlohmann::json{{"prompt", prompt}, {"attribute", i % 2 == 0 ? "in" : "France"}}.dump() + "\n";
  }
  folder.write("known.jsonl", facts);
  const auto known = [&](const std::string& more) {
    const Execution execution =
        program("eval '" + model + "' --tasks known=known.jsonl --json --threads 1 " + more);
    EXPECT_EQ(execution.exit_code, 0) << execution.err;
    return execution.json();
  };
  auto before = known("");
  EXPECT_EQ(before["tasks"]["known"]["answered"], nlohmann::json({0, 2, 4}));
  EXPECT_FALSE(before["tasks"]["known"].contains("kept"));
  before["tasks"]["known"]["answered"] = {1, 2, 3, 4};
  folder.write("before.json", before.dump());
  const auto now = known("--baseline before.json")["tasks"]["known"];
  EXPECT_EQ(now["kept"],
            (nlohmann::json{{"before", 4}, {"still", 2}, {"share", 0.5}, {"share_interval", {0.0, 1.0}}}));
}

TEST_F(ProgramTest, TheGroupSizeOfARunStaysThatOfItsBeginning) {
  ASSERT_EQ(program(edit_arguments("run", "--set group=0 --limit 2")).exit_code, 0);
  const auto group = [&] { return program.shell("grep '^group: ' run/run.yaml").out; };
  EXPECT_NE(group(), "group: 0\n");
  EXPECT_NE(group(), "group: 3\n");
  ASSERT_EQ(program.shell("sed -i 's/^group: .*/group: 3/' run/run.yaml").exit_code, 0);
  ASSERT_EQ(program("edit --run run --resume").exit_code, 0);
  EXPECT_EQ(group(), "group: 3\n") << "resume chose a size of its own";
}

TEST_F(ProgramTest, ThePlanHasTheGroupsThatTheEditorTakes) {
  std::vector<std::string> groups;
  for (const std::string dtype : {"fp32", "bf16"}) {
    const std::string how = "--set group=0 --dtype " + dtype;
    const auto plan =
        program("plan '" + model + "' --hparams h.yaml --cpu --ranks 1 --batch 64 --json " + how).json();
    ASSERT_EQ(program(edit_arguments(dtype, how + " --limit 1")).exit_code, 0);
    groups.push_back(program.shell("grep '^group: ' " + dtype + "/run.yaml").out);
    EXPECT_EQ(groups.back(), "group: " + plan["group"].dump() + "\n");
  }
  EXPECT_NE(groups[0], groups[1]);
}

// The losses after the edits, which differ in rounding between the two forms.
TEST_F(ProgramTest, ARunKeepsTheKernelsThatItBeganWith) {
  const auto losses = [&](const std::string& run) {
    return program.shell("grep -o '\"nll\":{[^}]*}' " + run + "/metrics.jsonl").out;
  };
  const std::string references = "--reference-kernels all";
  ASSERT_EQ(program(edit_arguments("fused", "", 2)).exit_code, 0);
  ASSERT_EQ(program(edit_arguments("whole", references, 2)).exit_code, 0);
  ASSERT_EQ(program(edit_arguments("parts", references + " --limit 2", 2)).exit_code, 0);
  ASSERT_EQ(program("edit --run parts --resume").exit_code, 0);
  EXPECT_THAT(losses("whole"), HasSubstr("after"));
  EXPECT_EQ(losses("parts"), losses("whole"));
  EXPECT_NE(losses("fused"), losses("whole"));
}

TEST_F(ProgramTest, AFormatThatIsNamedIsTheOneThatIsReadAlsoWhenResuming) {
  // Fields of two formats: which answer is meant cannot be told.
  folder.write("edits.jsonl",
               R"({"subject": "Nike", "prompt": "The CEO of {} is", "target": "A", "target_new": "B"})"
               "\n"
               R"({"subject": "Intel", "prompt": "The CEO of {} is", "target": "A", "target_new": "B"})"
               "\n");
  const Execution unclear = program(edit_arguments("run"));
  EXPECT_EQ(unclear.exit_code, 2);
  EXPECT_THAT(unclear.err, HasSubstr("--format"));
  const auto committed = [&](const std::string& arguments) {
    const Execution execution = program(arguments);
    EXPECT_EQ(execution.exit_code, 0) << execution.err;
    return execution.json()["edits"]["committed"];
  };
  EXPECT_EQ(committed(edit_arguments("run", "--format easyedit --limit 1", 1)), 1);
  EXPECT_EQ(committed("edit --run run --resume --json"), 1);
  EXPECT_EQ(program("eval run --edits edits.jsonl --format easyedit --json").json()["n"], 2);
  EXPECT_EQ(program(edit_arguments("other", "--format rome")).exit_code, 2);
}

TEST_F(ProgramTest, InfoTellsOfModelsAndRuns) {
  const auto info = program("info '" + model + "' --json").json();
  EXPECT_EQ(info["layers"], 4);
  EXPECT_EQ(info["family"], "llama");
  EXPECT_EQ(info["editable"]["module"], "model.layers.0.mlp.down_proj.weight");
  ASSERT_EQ(program(edit_arguments("run")).exit_code, 0);
  const auto run = program("info run --json").json()["run"];
  EXPECT_EQ(run["batches"], 3);
  EXPECT_EQ(run["edits"]["committed"], 5);
}

TEST_F(ProgramTest, TokenizeGoesThereAndBack) {
  const auto ids = program("tokenize '" + model + "' --text 'a word' --json").json()["ids"];
  std::string decode = "tokenize '" + model + "' --decode";
  for (const auto& id : ids) decode += " " + std::to_string(id.get<int>());
  EXPECT_EQ(program(decode).out, "a word\n");
  EXPECT_EQ(program.shell("echo '\"a word\"' | '" + tests::program_path() + "' tokenize '" + model + "'").json(),
            ids);
}

TEST_F(ProgramTest, ScoresOneObjectALine) {
  folder.write("requests.jsonl", R"({"prompt": "The CEO of Nike is", "completion": " Bob"})"
                                 "\n\n"
                                 R"({"prompt": "The CEO of Intel is", "completion": " Bob"})"
                                 "\n");
  const std::string out = program("score '" + model + "' --requests requests.jsonl --json").out;
  const auto end = out.find('\n');
  const auto score = nlohmann::json::parse(out.substr(0, end));
  const auto second = nlohmann::json::parse(out.substr(end));
  EXPECT_EQ(second["ids"], score["ids"]);
  EXPECT_NE(second["nll"], score["nll"]) << "after another prompt";
  const auto ids = program("tokenize '" + model + "' --text ' Bob' --json").json()["ids"];
  EXPECT_EQ(score["ids"], ids);
  EXPECT_EQ(score["logprobs"].size(), ids.size());
  EXPECT_EQ(score["argmax"].size(), ids.size());
  double sum = 0;
  for (const double value : score["logprobs"]) sum += value;
  EXPECT_NEAR(score["nll"], -sum / static_cast<double>(ids.size()), 1e-6);
}

TEST_F(ProgramTest, GeneratesTheSameTextForTheSameSeed) {
  const std::string arguments =
      "generate '" + model + "' --prompt 'The' --max-new-tokens 8 --temperature 30 --json --seed ";
  EXPECT_EQ(program(arguments + "1").json(), program(arguments + "1").json());
  EXPECT_NE(program(arguments + "1").json(), program(arguments + "2").json());
}

}  // namespace
}  // namespace anchorage
