// What people bring, as it is: situations that users of neighbouring tools report, each with its right outcome. No
// file passes silently wrong, and no real model or record is set aside for a reason that is ours.
#include <gmock/gmock.h>

#include "tests/process/program_test.hpp"

namespace anchorage {
namespace {

using testing::HasSubstr;
using testing::Not;
using tests::Execution;
using tests::model;

class AsItComes : public tests::ProgramTest {
 protected:
  // Exit code 2, and what was expected, found, where and what to do.
  void expect_refused(const std::string& arguments, std::initializer_list<const char*> words, int ranks = 0) {
    const Execution execution = program(arguments, ranks);
    EXPECT_EQ(execution.exit_code, 2) << execution.err;
    for (const char* word : words) EXPECT_THAT(execution.err, HasSubstr(word));
  }
};

// ---- Stops or loses work
// ------------------------------------------------------------------------------------------

// A tokenizer whose start token does not decode to nothing (LLaMA-2).

// A file that ends early, or holds more than it should.

TEST_F(AsItComes, ALineWithAZeroByteIsSetAsideAndNothingBehindItIsLost) {
  std::string lines = tests::edits;
  lines.insert(lines.find("\"Nike\""), 1, '\0');
  folder.write("edits.jsonl", lines);
  const Execution run = program(edit_arguments("run"));
  EXPECT_EQ(run.exit_code, 3) << run.err;
  EXPECT_EQ(run.json()["edits"]["committed"], 4);
  EXPECT_THAT(run.err, HasSubstr("edits.jsonl, line 2"));
  expect_refused(edit_arguments("other", "--strict"), {"zero byte", "edits.jsonl, line 2"});
  EXPECT_FALSE(std::filesystem::exists(folder.path() / "other"));
}

TEST_F(AsItComes, LinesOfRequestsAndTextsAreReadWholeOrToldWithTheirNumber) {
  folder.write("r.jsonl", std::string("{\"prompt\": \"a\", \"completion\": \"b\"}\n") +
                              "{\"prompt\": \"a\", \"completion\": \"b\"}" + '\0' + "{}\n");
  expect_refused("score '" + model + "' --requests r.jsonl", {"zero byte", "r.jsonl, line 2"});
  const Execution texts =
      program.shell("printf '\"a\"\\n\"b\"\\0\\n' | '" ANCHORAGE_PROGRAM "' tokenize '" + model + "'");
  EXPECT_EQ(texts.exit_code, 2);
  EXPECT_THAT(texts.err, HasSubstr("standard input, line 2"));
}

// Keys of config.json.

// Tokens that the model has no row for.

// ---- Silently wrong
// -----------------------------------------------------------------------------------------------

// Weights that are not finite.

// Texts longer than the model's positions.

// What was not measured.

// Two edits with one id.

// Tensors and config.json disagree.

// Where a word begins.

// A null space of everything, and hyper-parameters of another method.

// ---- Missing
// ------------------------------------------------------------------------------------------------------

// Chat models.

// Subjects inside a longer word.

// ---- Told better
// --------------------------------------------------------------------------------------------------

// Hyper-parameters of methods that are not here.

TEST_F(AsItComes, HyperParametersForAnotherMethodAreToldOfInEditAndPlan) {
  folder.write("h.yaml", tests::hparams + "alg_name: EMMET\n");
  const Execution plan = program("plan '" + model + "' --hparams h.yaml --ranks 2 --method memit");
  EXPECT_EQ(plan.exit_code, 0) << plan.err;
  EXPECT_THAT(plan.err, HasSubstr("h.yaml is for EMMET (alg_name), but the method is memit (--method)"));
  EXPECT_THAT(program(edit_arguments("run", "--limit 1")).err,
              HasSubstr("h.yaml is for EMMET (alg_name), but the method is b-eac"));
  folder.write("h.yaml", tests::hparams + "alg_name: B-EAC\n");
  EXPECT_THAT(program("plan '" + model + "' --hparams h.yaml --ranks 2").err, Not(HasSubstr("alg_name")));
  folder.write("h.yaml", tests::hparams + "emmet_lambda: 0.1\n");
  expect_refused("plan '" + model + "' --hparams h.yaml --ranks 2",
                 {"'emmet_lambda', which is EMMET's", "h.yaml, line"});
}

// Models that are not all there.

TEST_F(AsItComes, WhatIsStillInGitLfsIsCalledThat) {
  const std::string pointer = "version https://git-lfs.github.com/spec/v1\noid sha256:4d7a\nsize 5380904\n";
  std::filesystem::copy(model, folder.path() / "bare");
  folder.write("edits.jsonl", pointer);
  folder.write("few.h5", pointer);
  const auto with = [&](const std::string& arguments, const char* file) {
    expect_refused(arguments, {"a git-lfs pointer", file, "git lfs pull"});
  };
  with(edit_arguments("run"), "edits.jsonl");
  with("edit '" + model + "' --edits edits.jsonl --run run --hparams h.yaml --stats few.h5", "few.h5");
  with("stats '" + model + "' --layers 1 --corpus edits.jsonl --out t.h5", "edits.jsonl");
  folder.write("bare/tokenizer.json", pointer);
  with("tokenize bare --text x", "tokenizer.json");
  folder.write("bare/model.safetensors", pointer);
  with("info bare", "model.safetensors");
}

TEST_F(AsItComes, AModelInAnotherFormIsToldWithTheWayToConvertIt) {
  std::filesystem::copy(model, folder.path() / "bare");
  std::filesystem::rename(folder.path() / "bare/tokenizer.json", folder.path() / "bare/tokenizer.model");
  expect_refused("generate bare --prompt x", {"found tokenizer.model", "AutoTokenizer.from_pretrained(\"bare\")"});
  std::filesystem::rename(folder.path() / "bare/model.safetensors", folder.path() / "bare/pytorch_model.bin");
  expect_refused("info bare", {"found pytorch_model.bin", "AutoModelForCausalLM.from_pretrained(\"bare\""});
}

// Prompts, corpora and paths.

TEST_F(AsItComes, RealQuestionsAreEvaluatedAsTheyAre) {
  const std::string data = ANCHORAGE_SOURCE_DIR "/../shared/data/edits/";
  for (const std::string name : {"qaedit_1k.json", "wikibigedit_3k.json"}) {
    if (!std::filesystem::exists(data + name)) GTEST_SKIP() << data + name << " is not there";
    const Execution eval = program("eval '" + model + "' --limit 4 --json --edits '" + data + name + "'");
    EXPECT_EQ(eval.exit_code, 0) << eval.err;
    EXPECT_EQ(eval.json()["n"], 4) << name;
    EXPECT_EQ(eval.json()["neighborhood"]["edits"], 4) << name;
  }
}

TEST_F(AsItComes, ACommaInTheNameOfAFileIsPartOfIt) {
  folder.write("a,b.jsonl", R"({"id": "x", "subject": "Nokia", "prompt": "The CEO of {} is", "target": "Ann"})");
  folder.write("k,n.json", tests::known_facts());
  const Execution run = program(edit_arguments("run", "--edits edits.jsonl,a,b.jsonl"));
  EXPECT_EQ(run.exit_code, 0) << run.err;
  EXPECT_EQ(run.json()["edits"]["committed"], 6);
  const Execution eval = program("eval '" + model + "' --json --tasks known=k,n.json");
  EXPECT_EQ(eval.exit_code, 0) << eval.err;
  EXPECT_EQ(eval.json()["tasks"]["known"]["questions"], 40);
}

TEST_F(AsItComes, ATextInRecordsIsTheTextOfTheRecords) {
  folder.write("t.txt", "One line of text.\nAnother one.\nA third.\n");
  folder.write("t.jsonl", "{\"text\": \"One line of text.\\nAnother one.\"}\n{\"text\": \"A third.\"}\n");
  folder.write("bad.txt", "good\ncaf\xE9\n");
  const std::string eval = "eval '" + model + "' --json --heldout ";
  EXPECT_EQ(program(eval + "t.jsonl").out, program(eval + "t.txt").out);
  expect_refused(eval + "bad.txt", {"0xe9", "bad.txt, line 2"});
}

}  // namespace
}  // namespace anchorage
