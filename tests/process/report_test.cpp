// `report` through the program: a run, its evaluation and a table on one page; the committed page; what is refused.
#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <fmt/format.h>

#include "tests/process/small_run.hpp"
#include "tests/support/places.hpp"

namespace anchorage {
namespace {

using testing::AllOf;
using testing::HasSubstr;
using testing::Not;
using tests::content_of;
using tests::Execution;
using tests::SmallRun;

constexpr auto table =
    "method,edits,efficacy_accuracy,kept,kept_low,kept_high,loss_change\n"
    "eac,2,0.75,0.875,0.8,0.95,0.01\neac,4,0.625,0.5,0.4,0.6,0.02\n";

class Report : public testing::Test {
 protected:
  std::string page(const std::string& name) const { return content_of(runs.folder.path() / name); }

  void expect_refused(const std::string& arguments, std::initializer_list<const char*> words) const {
    const Execution execution = runs.program("report " + arguments);
    EXPECT_EQ(execution.exit_code, 2) << arguments << "\n" << execution.err;
    for (const char* word : words) EXPECT_THAT(execution.err, HasSubstr(word)) << arguments;
  }

  const SmallRun runs{6};
};

TEST_F(Report, ShowsARunItsEvaluationAndATableAndIsTheSameBytesEachTime) {
  const Execution edit = runs.program(runs.edit_arguments("night"));
  ASSERT_EQ(edit.exit_code, 0) << edit.err;
  const Execution eval = runs.program("eval night --edits edits.jsonl --json");
  ASSERT_EQ(eval.exit_code, 0) << eval.err;
  auto evaluation = eval.json();
  evaluation["generation"] = {{"texts", {{{"id", "e0"}, {"prompt", "</script><b>Someone</b>"}}}}};
  runs.folder.write("e.json", evaluation.dump());
  runs.folder.write("t.csv", table);

  const auto written = runs.json("report night night=e.json methods=t.csv --out r.html");
  EXPECT_EQ(written["runs"], 1);
  EXPECT_EQ(written["evaluations"], 1);
  EXPECT_EQ(written["comparisons"], 1);
  const std::string made = page("r.html");
  EXPECT_EQ(written["bytes"], made.size());

  // Of the journal: every batch with its figures, the anchors, the edits that failed.
  const auto anchors = runs.json("journal anchors night");
  const auto& last = anchors["layers"][0]["batches"][2];
  EXPECT_THAT(made,
              HasSubstr(fmt::format("layer 1, batch 3: {} anchors, {} kept, {} entered, {} left",
                                    last["kept"].get<int>() + last["entered"].get<int>(), last["kept"].get<int>(),
                                    last["entered"].get<int>(), last["left"].get<int>())));
  for (const int batch : {1, 2, 3}) {
    const auto shown = runs.json("journal show night --batch " + std::to_string(batch));
    for (const auto& edited : shown["edits"]) {
      if (edited["match"]["after"] == true) continue;
      EXPECT_THAT(made, HasSubstr(fmt::format("<td class=\"id\">{}</td>", edited["id"].get<std::string>())));
      EXPECT_THAT(made, HasSubstr(fmt::format("<td>{:.3f}</td>", edited["nll"]["after"].get<double>())));
    }
  }
  // Of the evaluation and of the table.
  EXPECT_THAT(made, HasSubstr(fmt::format("{:.3f}", evaluation["efficacy"]["accuracy"].get<double>())));
  EXPECT_THAT(made, AllOf(HasSubstr(">0.875<small>"), HasSubstr("0.800\u20130.950"), HasSubstr("+0.0200")));
  EXPECT_THAT(made, HasSubstr("class=\"band\""));
  EXPECT_THAT(made, Not(HasSubstr("<b>Someone")));
  EXPECT_THAT(made, Not(HasSubstr(runs.folder.path().string()))) << "no paths of this machine";
  EXPECT_THAT(made, Not(HasSubstr(tests::model)));

  runs.json("report night night=e.json methods=t.csv --out again.html");
  EXPECT_TRUE(made == page("again.html"));
}

TEST_F(Report, OfTheCommittedResultsIsTheCommittedPage) {
  const std::string results = tests::source_path() + "/docs/results/";
  std::string arguments = "report";
  for (const char* name : {"counterfact-batches-of-25", "counterfact-batches-of-100",
                           "counterfact-batches-of-25-parts-ngd", "counterfact-other-records"})
    arguments += fmt::format(" '{}{}.csv'", results, name);
  const Execution execution = runs.program(arguments + " --out results.html");
  ASSERT_EQ(execution.exit_code, 0) << execution.err;
  EXPECT_TRUE(page("results.html") == content_of(results + "report.html"))
      << "make it anew, as docs/results.md says";
  EXPECT_LT(page("results.html").size(), 400'000U);
}

TEST_F(Report, RefusesWhatItCannotReadAndLeavesNothing) {
  runs.folder.write("t.csv", table);
  runs.folder.write("broken.json", "{\"efficacy\": ");
  runs.folder.write("columns.csv", "a,b\n1,2\n");
  runs.folder.write("folder/file", "");
  expect_refused("broken.json --out r.html", {"broken.json", "eval"});
  expect_refused("columns.csv --out r.html", {"method, edits", "columns.csv"});
  expect_refused("folder --out r.html", {"run.yaml"});
  expect_refused("none --out r.html", {"a run directory", "none"});
  expect_refused("t.csv --out t.csv", {"one that is there"});
  expect_refused("t.csv --out none/r.html", {"no directory"});
  expect_refused("t.csv", {"--out"});
  EXPECT_FALSE(std::filesystem::exists(runs.folder.path() / "r.html"));
}

}  // namespace
}  // namespace anchorage
