// What is printed and written: the table, and a file of hyper-parameters that gives what was chosen.
#include "launch/commands/tune/report.hpp"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <sstream>

#include "launch/commands/tune/figures.hpp"

namespace anchorage::launch {
namespace {

using testing::HasSubstr;
using testing::Not;

Tuning tuning() {
  Tuning tuning{.model = "small",
                .method = "memit_seq",
                .sample = "the first 32 edits of facts.jsonl, one batch",
                .moments = "1000 tokens of text.txt",
                .text = "16 sequences of text.txt after these tokens",
                .start = "h.yaml"};
  tuning.trace = {.effects = {0.1, 0.4, -0.1}, .clean = 0.5, .corrupted = 0.05, .facts = 31, .peak = 1};
  tuning.before = {.match = 0.0, .paraphrases = {}, .neighbors = 0.9, .loss = 3.0};
  tuning.trials = {{{{0, 1, 2}, 15000, 0.75}, {.match = 0.5, .neighbors = 0.9, .loss = 3.01, .drift = 0.0123}},
                   {{{0, 2}, 500, 4}, {.match = 0.75, .neighbors = {}, .loss = 3.02, .drift = 0.25}}};
  tuning.chosen = 1;
  return tuning;
}

io::Hparams chosen() {
  io::Hparams hparams;
  hparams.layers = {0, 2};
  hparams.mom2_update_weight = 500;
  hparams.clamp_norm_factor = 4;
  hparams.contexts = 3;
  hparams.rewrite_module_tmp = "model.layers.{}.mlp.down_proj";
  hparams.v_loss_layer = 2;
  return hparams;
}

io::Hparams defaults() {
  io::Hparams hparams;
  hparams.layers = {0, 2};
  hparams.rewrite_module_tmp = "model.layers.{}.mlp.down_proj";
  hparams.v_loss_layer = 2;
  return hparams;
}

TEST(TuneReport, TheTableHasALineForEachTrialAndMarksTheChosenOne) {
  const std::string table = trial_table(tuning());
  EXPECT_THAT(table, HasSubstr("before"));
  EXPECT_THAT(table,
              HasSubstr("  0-2              15000   0.75   0.500            -      0.900   3.0100    0.0123"));
  EXPECT_THAT(table,
              HasSubstr("* 0,2                500      4   0.750            -          -   3.0200    0.2500"));
  Tuning without_weight = tuning();
  without_weight.uses_weight = false;
  EXPECT_THAT(trial_table(without_weight), Not(HasSubstr("15000")));
}

TEST(TuneReport, TheTraceHasABarForEachLayer) {
  const std::string table = trace_table(tuning().trace);
  EXPECT_THAT(table, HasSubstr("    0    0.1000  ==========\n"));
  EXPECT_THAT(table, HasSubstr("    2   -0.1000  \n"));
}

TEST(TuneReport, TheFileGivesTheChosenHyperParametersAndWhereEachIsFrom) {
  const std::string file = hparams_file(tuning(), chosen(), defaults());
  io::LoadedHparams read = io::parse_hparams(file, "h.yaml");
  EXPECT_EQ(read.algorithm, "memit_seq");
  EXPECT_EQ(read.hparams, chosen());
  std::istringstream lines(trial_table(tuning()));
  for (std::string line; std::getline(lines, line);) EXPECT_THAT(file, HasSubstr("# " + line + "\n"));
  EXPECT_THAT(file, testing::ContainsRegex("layers: \\[0, 2\\] +# tuned; the trace's peak is layer 1\n"));
  EXPECT_THAT(file, testing::ContainsRegex("mom2_update_weight: 500 +# tuned\n"));
  EXPECT_THAT(file, testing::ContainsRegex("contexts: 3 +# from h.yaml\n"));
  EXPECT_THAT(file, Not(HasSubstr("\nv_lr:"))) << "it has its default";
  EXPECT_THAT(file, Not(HasSubstr("No trial was within")));
  EXPECT_THAT(file, HasSubstr("facts.jsonl"));
}

TEST(TuneReport, TheFileSaysWhereNoTrialWasWithinTheLimits) {
  Tuning lossy = tuning();
  for (Trial& trial : lossy.trials) trial.figures.loss = 4;
  EXPECT_THAT(hparams_file(lossy, chosen(), defaults()), HasSubstr("No trial was within"));
}

TEST(TuneReport, FiguresAreReadBackAsTheyWere) {
  for (const Trial& trial : tuning().trials) {
    const auto text = document_of(trial.figures).dump();
    EXPECT_EQ(figures_of(nlohmann::json::parse(text)), trial.figures);
  }
}

TEST(TuneReport, TheDocumentHasEveryTrial) {
  const auto document = document_of(tuning());
  EXPECT_EQ(document["trials"].size(), 2U);
  EXPECT_EQ(document["trials"][1]["layers"], (std::vector{0, 2}));
  EXPECT_TRUE(document["trials"][1]["neighbors"].is_null());
  EXPECT_EQ(document["chosen"], 1);
  EXPECT_EQ(document["within_loss_limit"], true);
  EXPECT_EQ(document["trace"]["peak"], 1);
}

}  // namespace
}  // namespace anchorage::launch
