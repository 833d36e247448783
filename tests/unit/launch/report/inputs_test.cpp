// What a report reads: tables of states, reports of eval, runs; and what it refuses.
#include "launch/commands/report/report_inputs.hpp"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "io/error.hpp"
#include "io/run/journal/journal.hpp"
#include "io/run/run_directory.hpp"
#include "tests/support/message_of.hpp"
#include "tests/support/sample_segment.hpp"
#include "tests/support/temporary_directory.hpp"

namespace anchorage::launch {
namespace {

using testing::AllOf;
using testing::ElementsAre;
using testing::HasSubstr;
using testing::Pair;
using tests::message_of;

TEST(ComparisonCsv, HasFiguresIntervalsAndDriftByItsColumns) {
  const auto comparisons = read_comparisons(
      "\xEF\xBB\xBFmethod,edits,kept,kept_low,kept_high,loss,drift_4,drift_10,seconds_total\r\n"
      "b-eac,100,0.5,0.4,0.6,3.25,0.1,0.2,7\r\n\r\n\"a, \"\"b\"\"\",200,,,,,,,\r\n",
      "table", "t.csv");
  ASSERT_EQ(comparisons.size(), 1U);
  const auto& states = comparisons[0].states;
  ASSERT_EQ(states.size(), 2U);
  EXPECT_EQ(comparisons[0].label, "table");
  EXPECT_EQ(states[0].figures.at(Measure::kept), (Figure{0.5, Interval{0.4, 0.6}}));
  EXPECT_EQ(states[0].figures.at(Measure::loss), (Figure{3.25}));
  EXPECT_EQ(states[0].drift, (std::map<std::int64_t, double>{{4, 0.1}, {10, 0.2}}));
  EXPECT_EQ(states[1].method, "a, \"b\"");
  EXPECT_EQ(states[1].edits, 200);
  EXPECT_TRUE(states[1].figures.empty()) << "an empty cell was not measured";
}

TEST(ComparisonCsv, ColumnsBeforeTheMethodSayWhichRowsBelongTogether) {
  const auto comparisons = read_comparisons(
      "first,batch,method,edits,kept\n5000,25,eac,500,0.1\n5000,100,eac,500,0.2\n5000,25,eac,1000,0.3\n", "other",
      "o.csv");
  ASSERT_EQ(comparisons.size(), 2U);
  EXPECT_EQ(comparisons[0].label, "other, first 5000, batch 25");
  EXPECT_EQ(comparisons[0].states.size(), 2U);
  EXPECT_EQ(comparisons[1].label, "other, first 5000, batch 100");
}

TEST(ComparisonCsv, WhatIsWrongIsNamedWithItsLine) {
  const auto message = [](const std::string& text) {
    return message_of([&] { read_comparisons(text, "t", "t.csv"); });
  };
  EXPECT_THAT(message("method,kept\n"), AllOf(HasSubstr("edits"), HasSubstr("method, kept"), HasSubstr("line 1")));
  EXPECT_THAT(message("method,edits,color\n"), HasSubstr("efficacy_accuracy"));
  EXPECT_THAT(message("method,edits,kept,kept\n"), HasSubstr("'kept' twice"));
  EXPECT_THAT(message("method,edits,kept\n"), HasSubstr("the header alone"));
  EXPECT_THAT(message("method,edits,kept\na,1,0.5\nb,2\n"),
              AllOf(HasSubstr("3 cells"), HasSubstr("t.csv, line 3")));
  EXPECT_THAT(message("method,edits,kept\na,1,half\n"), AllOf(HasSubstr("'half'"), HasSubstr("line 2")));
  EXPECT_THAT(message("method,edits,kept\na,1,nan\n"), HasSubstr("'nan'"));
  EXPECT_THAT(message("method,edits,kept\na,1.5,0\n"), HasSubstr("a whole number as 'edits'"));
  EXPECT_THAT(message("method,edits,kept\na,1,0\na,1,1\n"), AllOf(HasSubstr("twice"), HasSubstr("line 3")));
  EXPECT_THAT(message("method,edits,kept\n\"a,1,0\n"), AllOf(HasSubstr("quote"), HasSubstr("line 2")));
}

constexpr auto report = R"({"n": 40, "efficacy": {"success": 0.9, "success_interval": [0.8, 1.0], "accuracy": 0.75},
  "paraphrase": {"success": null, "accuracy": 0.5}, "heldout": {"loss": 3.5},
  "tasks": {"known": {"accuracy": 0.4, "kept": {"before": 10, "still": 8, "share": 0.8, "share_interval": [0.6, 0.9]}},
            "sentiment": {"auc": 0.9, "auc_interval": [0.8, 1.0], "accuracy": 0.7, "kept": {"auc": 0.95, "accuracy": null}}},
  "generation": {"prompts": {"exact": 0.6, "contained": 0.65},
                 "texts": [{"id": "a", "prompt": "New York"}, {"id": "b", "prompt": null}]}})";

TEST(EvaluationReport, HasEverySectionThatWasMeasured) {
  const auto evaluation = read_evaluation(report, "night@500", "e.json");
  EXPECT_EQ(evaluation.name, "night");
  EXPECT_EQ(evaluation.edits, 500);
  EXPECT_EQ(evaluation.figures.at(Measure::efficacy), (Figure{0.9, Interval{0.8, 1.0}}));
  EXPECT_EQ(evaluation.figures.at(Measure::exact), (Figure{0.75}));
  EXPECT_EQ(evaluation.figures.at(Measure::kept), (Figure{0.8, Interval{0.6, 0.9}}));
  EXPECT_EQ(evaluation.figures.at(Measure::loss), (Figure{3.5}));
  EXPECT_EQ(evaluation.figures.at(Measure::generated_contained), (Figure{0.65}));
  EXPECT_FALSE(evaluation.figures.contains(Measure::paraphrase)) << "null was not measured";
  EXPECT_EQ(evaluation.figures.at(Measure::sentiment), (Figure{0.9, Interval{0.8, 1.0}}));
  std::vector<std::pair<std::string, Figure>> tasks;
  for (const TaskFigure& figure : evaluation.tasks)
    tasks.emplace_back(figure.task + " " + std::string(figure.name), figure.figure);
  EXPECT_THAT(tasks,
              ElementsAre(Pair("known answered", Figure{0.4}), Pair("known kept", Figure{0.8, Interval{0.6, 0.9}}),
                          Pair("sentiment AUC", Figure{0.9, Interval{0.8, 1.0}}),
                          Pair("sentiment answered", Figure{0.7}), Pair("sentiment AUC kept", Figure{0.95})));
  EXPECT_EQ(evaluation.texts, (std::map<std::string, std::string>{{"a", "New York"}}));
  EXPECT_EQ(read_evaluation(report, "night", "e.json").edits, 40) << "as many as were evaluated";
  EXPECT_EQ(read_evaluation(report, "me@home", "e.json").name, "me@home");
}

TEST(EvaluationReport, WhatIsNoneIsRefusedWithThePlace) {
  const auto message = [](const std::string& text) {
    return message_of([&] { read_evaluation(text, "e", "e.json"); });
  };
  EXPECT_THAT(message(R"({"efficacy": )"), AllOf(HasSubstr("e.json"), HasSubstr("eval MODEL-or-RUN --json")));
  EXPECT_THAT(message(R"({"bytes": 3})"), HasSubstr("a section that was measured"));
  EXPECT_THAT(message(R"({"efficacy": 3})"), AllOf(HasSubstr("an object"), HasSubstr("'efficacy'")));
  EXPECT_THAT(message(R"({"efficacy": {"success": "high"}})"),
              AllOf(HasSubstr("a number"), HasSubstr("'success'")));
  EXPECT_THAT(message(R"({"efficacy": {"success": 1, "success_interval": [0]}})"), HasSubstr("[low, high]"));
  EXPECT_THAT(message(R"({"generation": {"texts": [{"prompt": "x"}]}})"), HasSubstr("'id'"));
}

class Inputs : public testing::Test {
 protected:
  std::string message(std::vector<std::string> inputs) const {
    for (std::string& input : inputs) input = (folder.path() / input).string();
    return message_of([&] { read_report_inputs(inputs); });
  }

  // A run of two batches whose second was rolled back, if so wished.
  void write_run(bool rolled_back) const {
    auto directory = io::RunDirectory::create(folder.path() / "run");
    directory.write_record({.model = "/models/small",
                            .edits = {"/e.jsonl"},
                            .statistics = "/s.h5",
                            .method = "b-eac",
                            .hparams = "layers: [4, 10]\n",
                            .batch_size = 2,
                            .threads = 1,
                            .dtype = "auto",
                            .device = "cpu",
                            .fingerprints = {},
                            .versions = {}});
    auto journal = io::Journal::open(directory.journal(), io::JournalAccess::append);
    journal.append(tests::sample_base());
    for (const std::int64_t batch : {1, 2}) {
      auto segment = tests::sample_batch(batch);
      segment.edits[0].request =
          R"({"id": "ceo-1", "subject": "Nike", "prompt": "The CEO of {} is", "target": "Ann"})";
      segment.edits[1].request = R"({"id": "x", "subject": "Ford", "prompt": "{} is in", "target": "Rome"})";
      segment.edits[0].match_after = batch == 2;
      journal.append(segment);
    }
    if (rolled_back) journal.append(tests::sample_rollback(3, 1));
    directory.append_metrics(R"({"batch": 1, "seconds": {"total": 2.5}})");
  }

  const tests::TemporaryDirectory folder;
};

TEST_F(Inputs, ARunHasItsBatchesItsAnchorsAndTheEditsThatFailed) {
  write_run(false);
  const RunContents run = read_run(folder.path() / "run", "night");
  EXPECT_EQ(run.model, "small");
  EXPECT_EQ(run.method, "b-eac");
  ASSERT_EQ(run.batches.size(), 2U);
  EXPECT_EQ(run.batches[0].matched, 0.0);
  EXPECT_EQ(run.batches[1].matched, 1.0);
  EXPECT_EQ(run.batches[0].seconds, 2.5);
  EXPECT_FALSE(run.batches[1].seconds);
  EXPECT_EQ(run.batches[0].loss_before, 3.5);
  EXPECT_EQ(run.batches[0].loss_after, 3.75);
  EXPECT_EQ(run.batches[0].nll_before, 9.25);
  EXPECT_DOUBLE_EQ(run.batches[0].drift.at(4), 0.2 / 14);
  EXPECT_EQ(run.edits, 4);
  EXPECT_EQ(run.measured, 2);
  EXPECT_EQ(run.matched, 1);
  EXPECT_EQ(run.set_aside, 2);
  EXPECT_EQ(run.live, 2);
  ASSERT_EQ(run.failed.size(), 3U) << "one not matched, two set aside";
  EXPECT_EQ(run.failed[0].prompt, "The CEO of Nike is");
  EXPECT_EQ(run.failed[0].wanted, "Ann");
  EXPECT_EQ(run.failed[0].nll_after, 0.125);
  EXPECT_EQ(run.failed[0].why, "not matched after its batch");
  EXPECT_EQ(run.failed[1].why, "set aside: the held-out loss rose by 0.2");
  EXPECT_EQ(run.failed[1].now, "set aside");
  ASSERT_EQ(run.anchors.size(), 2U);
  EXPECT_EQ(run.anchors.at(10).back().entered, 6);
}

TEST_F(Inputs, BatchesThatWereRolledBackAreNotThere) {
  write_run(true);
  const RunContents run = read_run(folder.path() / "run", "night");
  ASSERT_EQ(run.batches.size(), 1U);
  EXPECT_EQ(run.edits, 2);
  EXPECT_EQ(run.failed.size(), 2U);
}

TEST_F(Inputs, AnUnfinishedLastLineOfMetricsDoesNotCountAndABrokenOneIsNamed) {
  write_run(false);
  const auto metrics = folder.path() / "run" / "metrics.jsonl";
  const std::string whole = tests::content_of(metrics);
  folder.write("run/metrics.jsonl", whole + R"({"batch": 2, "sec)");
  EXPECT_EQ(read_run(folder.path() / "run", "night").batches[0].seconds, 2.5);
  folder.write("run/metrics.jsonl", whole + "{\"batch\": 2, \"sec\n");
  EXPECT_THAT(message({"run"}), HasSubstr("metrics.jsonl, line 2"));
  folder.write("run/metrics.jsonl", whole + "{\"batch\": 2}\n");
  EXPECT_THAT(message({"run"}), AllOf(HasSubstr("seconds"), HasSubstr("line 2")));
}

TEST_F(Inputs, AreNamedByTheirLabelsOrTheirFiles) {
  write_run(false);
  const auto table = folder.write("t.csv", "method,edits,kept\na,1,0.5\n");
  const auto evaluation = folder.write("a=b.json", report);
  const std::vector<std::string> inputs{"night=" + (folder.path() / "run").string(), table.string(),
                                        evaluation.string()};
  const ReportInputs read = read_report_inputs(inputs);
  EXPECT_EQ(read.runs.at(0).label, "night");
  EXPECT_EQ(read.runs.at(0).source, "run");
  EXPECT_EQ(read.comparisons.at(0).label, "t");
  EXPECT_EQ(read.comparisons.at(0).source, "t.csv");
  EXPECT_EQ(read.evaluations.at(0).label, "a=b") << "a path that exists is not taken apart";
}

TEST_F(Inputs, WhatIsNoneOfTheThreeIsRefused) {
  folder.write("empty.csv", " \n");
  folder.write("list.json", "[1, 2]");
  folder.write("notes.txt", "only words\n");
  folder.write("folder/file", "");
  folder.write("t.csv", "method,edits,kept\na,1,0.5\n");
  EXPECT_THAT(message({"none"}), AllOf(HasSubstr("a run directory"), HasSubstr("found nothing")));
  EXPECT_THAT(message({"empty.csv"}), HasSubstr("an empty file"));
  EXPECT_THAT(message({"list.json"}), HasSubstr("another file"));
  EXPECT_THAT(message({"notes.txt"}), HasSubstr("another file"));
  EXPECT_THAT(message({"folder"}), HasSubstr("a directory without run.yaml"));
  EXPECT_THAT(message({"t.csv", "t.csv"}), HasSubstr("'t' twice"));
}

}  // namespace
}  // namespace anchorage::launch
