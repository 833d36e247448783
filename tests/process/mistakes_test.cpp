// How the program reports mistakes.
#include <gmock/gmock.h>

#include "tests/process/program_test.hpp"
#include "tests/support/places.hpp"

namespace anchorage {
namespace {

using testing::HasSubstr;
using testing::Not;
using tests::corpus;
using tests::edits;
using tests::Execution;
using tests::known_facts;
using tests::model;
using tests::ProgramTest;

// Mistakes: exit code 2, and what was expected, found, where and what to do.
class Mistakes : public ProgramTest {
 protected:
  void expect_refused(const std::string& arguments, std::initializer_list<const char*> words, int ranks = 0) {
    const Execution execution = program(arguments, ranks);
    EXPECT_EQ(execution.exit_code, 2) << execution.err;
    for (const char* word : words) EXPECT_THAT(execution.err, HasSubstr(word));
  }
};

TEST_F(Mistakes, UnknownCommandAndOption) {
  expect_refused("exprot run", {"found exprot", "'export'"});
  expect_refused("info '" + model + "' --frobnicate", {"--frobnicate"});
  expect_refused("info", {"model"});
}

TEST_F(Mistakes, AKernelThatIsNone) {
  expect_refused(edit_arguments("run", "--reference-kernels norm,softmax"),
                 {"softmax", "--reference-kernels", "block, norm, gate, rotation, attention, loss, or all"});
}

TEST_F(Mistakes, NumbersThatAreNone) {
  expect_refused("score '" + model + "' --requests r.jsonl --deadline nan", {"--deadline", "above 0", "nan"});
  expect_refused("plan '" + model + "' --hparams h.yaml --ranks 4 --tflops inf", {"--tflops", "above 0", "inf"});
  expect_refused("plan '" + model + "' --hparams h.yaml --ranks 4 --batch 9223372036854775807",
                 {"--batch", "from 1 to 1000000000"});
  expect_refused(edit_arguments("run", "--seed 99999999999999999999"), {"--seed", "99999999999999999999"});
}

// Only factoring the statistics, before the first batch, shows that they are singular; the same directory
// then takes a run that can begin.
TEST_F(Mistakes, StatisticsThatAreSingularLeaveNoRunInTheWay) {
  const std::string few = "stats '" + model + "' --corpus '" + tests::corpus +
                          "' --layers 1,2 --tokens 40 --sequence-length 16 --threads 1 --quiet --out few.h5";
  ASSERT_EQ(program(few).exit_code, 0);
  std::string arguments = edit_arguments("run");
  arguments.replace(arguments.find("s.h5"), 4, "few.h5");
  expect_refused(arguments, {"singular", "more tokens"});
  EXPECT_FALSE(std::filesystem::exists(folder.path() / "run"));
  EXPECT_EQ(program(edit_arguments("run")).exit_code, 0);
}

TEST_F(Mistakes, ModelDirectoryWithoutATokenizer) {
  std::filesystem::copy(model, folder.path() / "bare");
  std::filesystem::remove(folder.path() / "bare" / "tokenizer.json");
  expect_refused("generate bare --prompt x", {"tokenizer.json", "bare"});
}

TEST_F(Mistakes, InfoOfABatch) {
  ASSERT_EQ(program(edit_arguments("run")).exit_code, 0);
  expect_refused("info run@1", {"found the state of a run after a batch", "journal show run --batch 1"});
}

TEST_F(Mistakes, NoModelAtAll) {
  expect_refused("info nowhere", {"expected a Hugging Face model directory", "nowhere"});
}

TEST_F(Mistakes, SubjectThatIsNotInItsPromptIsSetAsideOrRefused) {
  folder.write("edits.jsonl", std::string(edits) +
                                  R"({"id": "f", "subject": "Novo", "prompt": "The CEO is", "target": "X"})"
                                  "\n");
  const Execution kept = program(edit_arguments("run"));
  EXPECT_EQ(kept.exit_code, 3) << kept.err;
  EXPECT_EQ(kept.json()["edits"]["set_aside"], 1);
  expect_refused(edit_arguments("strict", "--strict"), {"edits.jsonl, line 6", "Novo"});
  EXPECT_FALSE(std::filesystem::exists(folder.path() / "strict"));
}

TEST_F(Mistakes, ASettingWithoutEffectIsWarnedOfOnce) {
  const Execution ran =
      program(edit_arguments("run", "--set eac_anchor_ratio=0.3 --set las=off --set las_capacity=2 --limit 1"), 2);
  EXPECT_EQ(ran.exit_code, 0);
  EXPECT_THAT(ran.err,
              HasSubstr("--set las_capacity=2 has no effect here: it is for --method b-eac with las: true"));
  EXPECT_THAT(ran.err, Not(HasSubstr("--set las=off")));
  constexpr auto ratio = "--set eac_anchor_ratio=0.3 has no effect here";
  const std::size_t first = ran.err.find(ratio);
  ASSERT_NE(first, std::string::npos) << ran.err;
  EXPECT_EQ(ran.err.find(ratio, first + 1), std::string::npos) << ran.err;
  EXPECT_THAT(program("plan '" + model + "' --hparams h.yaml --ranks 2 --method memit --set rar=off").err,
              HasSubstr("--set rar=off has no effect here"));
}

TEST_F(Mistakes, LayerPastTheEnd) {
  expect_refused(edit_arguments("run", "--set layers=1,9"), {"layer 9", "--set layers=1,9"});
  expect_refused("stats '" + model + "' --corpus '" + corpus + "' --layers 4 --tokens 10 --out t.h5",
                 {"layers from 0 to 3", "4"});
}

TEST_F(Mistakes, RanksThatCannotBePartedIntoStagesAndModelsThatDoNotFit) {
  expect_refused(edit_arguments("run", "--stages 2"), {"a multiple of 2 ranks", "take 2 or 4 ranks"}, 3);
  expect_refused("plan '" + model + "' --hparams h.yaml --ranks 2 --memory 0.001", {"a rank", "0.0 GB"});
  expect_refused("plan nowhere --hparams h.yaml --ranks 2", {"config.json", "nowhere"});
}

TEST_F(Mistakes, StatisticsOfAnotherModel) {
  const std::string other = tests::golden_path() + "/small_models/llama_untied_bias";
  std::filesystem::remove(folder.path() / "s.h5");
  ASSERT_EQ(
      program("stats '" + other + "' --corpus '" + corpus + "' --layers 1,2 --tokens 600 --out s.h5").exit_code, 0);
  expect_refused(edit_arguments("run"), {"llama_tied", "llama_untied_bias"});
}

TEST_F(Mistakes, StatisticsWithoutAnEditedLayer) {
  expect_refused(edit_arguments("run", "--set layers=0,1"), {"statistics of layer 0", "layers 1, 2"});
}

TEST_F(Mistakes, AShareOfSubjectsOfWhichThereAreNoStatistics) {
  expect_refused(edit_arguments("run", "--set subject_share=0.5"),
                 {"second moments of subjects", "s.h5", "'anchorage stats --subjects'"});
  expect_refused(edit_arguments("run", "--set subject_share=1.5"), {"from 0 to 1 for subject_share", "'1.5'"});
  EXPECT_FALSE(std::filesystem::exists(folder.path() / "run"));
  const std::string tune = "tune '" + model + "' --edits edits.jsonl --corpus '" + corpus +
                           "' --hparams h.yaml --set subject_share=0.5 --out tuned.yaml ";
  expect_refused(tune, {"second moments of subjects", "--stats"});
  expect_refused(tune + "--stats s.h5", {"second moments of subjects", "s.h5"});
}

TEST_F(Mistakes, ListsOfSubjectsThatCannotBeUsedLeaveTheStatisticsAlone) {
  const std::string before = tests::content_of(folder.path() / "s.h5");
  const std::string add = "stats '" + model + "' --out s.h5 --threads 1 --subjects ";
  folder.write("bad.jsonl", "{\"subject\": \"A\", \"prompt\": \"{} is\"}\n{\"subject\": \"B\"}\n");
  expect_refused(add + "bad.jsonl", {"none of the fields 'prompt'", "bad.jsonl, line 2"});
  expect_refused(add + "nowhere.jsonl", {"nowhere.jsonl"});
  folder.write("first.jsonl", R"({"templates": ["{} was born in"], "subjects": ["Ada", "Bob"]})");
  folder.write("other.jsonl", R"({"templates": ["{} was born in"], "subjects": ["Carl"]})");
  expect_refused("stats '" + model + "' --out none.h5 --subjects first.jsonl", {"none.h5"});
  expect_refused(add + "first.jsonl --rome 1=x.npz", {"--subjects", "--rome"});
  EXPECT_TRUE(tests::content_of(folder.path() / "s.h5") == before);

  ASSERT_EQ(program(add + "first.jsonl").exit_code, 0);
  const std::string with_subjects = tests::content_of(folder.path() / "s.h5");
  expect_refused(add + "other.jsonl", {"those of list", "from 2 prompts", "s.h5", "--out"});
  EXPECT_TRUE(tests::content_of(folder.path() / "s.h5") == with_subjects);
}

TEST_F(Mistakes, EmptyEditsFile) {
  folder.write("edits.jsonl", "");
  expect_refused(edit_arguments("run"), {"edits.jsonl"});
}

TEST_F(Mistakes, RunDirectoryThatExistsAlsoOnTwoRanks) {
  ASSERT_EQ(program(edit_arguments("run")).exit_code, 0);
  expect_refused(edit_arguments("run"), {"--resume"});
  expect_refused(edit_arguments("run"), {"--resume"}, 2);
}

TEST_F(Mistakes, RunToEditInsteadOfAModel) {
  ASSERT_EQ(program(edit_arguments("run")).exit_code, 0);
  expect_refused("edit run --edits edits.jsonl --run other --hparams h.yaml --stats s.h5",
                 {"expected a model", "found a run", "--resume"});
  EXPECT_FALSE(std::filesystem::exists(folder.path() / "other"));
}

TEST_F(Mistakes, StagesThatCannotBeLeaveNoRunBehind) {
  expect_refused(edit_arguments("run", "--stages 3"), {"at most 2 stages"}, 2);
  EXPECT_FALSE(std::filesystem::exists(folder.path() / "run"));
}

TEST_F(Mistakes, UnknownMethodAndHyperParameter) {
  expect_refused(edit_arguments("run", "--method rome"), {"memit_seq", "'rome'"});
  expect_refused(edit_arguments("run", "--set v_lrr=1"), {"v_lr"});
}

TEST_F(Mistakes, TaskThatIsUnknownTwiceThereOrNotOfTheBaseline) {
  folder.write("known.json", known_facts());
  folder.write("other.json", R"([{"prompt": "a", "attribute": "b"}])");
  const std::string eval = "eval '" + model + "' ";
  expect_refused(eval, {"--edits, --tasks or --heldout"});
  expect_refused(eval + "--tasks hellaswag=known.json", {"NAME=FILE", "known, lambada, sentiment", "hellaswag"});
  expect_refused(eval + "--tasks known.json", {"NAME=FILE", "'known.json'"});
  expect_refused(eval + "--tasks known=known.json,known=other.json", {"each task once", "known"});
  expect_refused(eval + "--tasks known=none.json", {"none.json"});
  expect_refused(eval + "--tasks lambada=known.json", {"text", "known.json"});
  folder.write("before.json", program(eval + "--tasks known=other.json --json").out);
  expect_refused(eval + "--tasks known=known.json --baseline before.json", {"same 40 questions", "before.json"});
  expect_refused(eval + "--tasks known=known.json --baseline known.json", {"report of 'anchorage eval --json'"});
  auto beyond = nlohmann::json::parse(program(eval + "--tasks known=other.json --json").out);
  beyond["tasks"]["known"]["answered"] = {7};
  folder.write("beyond.json", beyond.dump());
  expect_refused(eval + "--tasks known=other.json --baseline beyond.json",
                 {"answered questions from 0 to 0", "found 7"});
}

TEST_F(Mistakes, ABaselineOfOtherGenerations) {
  const std::string eval = "eval '" + model + "' --threads 1 ";
  expect_refused(eval + "--heldout '" + corpus + "' --generate", {"--generate", "--edits"});
  expect_refused(eval + "--edits edits.jsonl --max-new-tokens 8", {"--max-new-tokens", "--generate"});
  expect_refused(eval + "--edits edits.jsonl --generate --max-new-tokens 513", {"--max-new-tokens", "513"});
  const std::string generated = eval + "--edits edits.jsonl --generate --max-new-tokens 2 ";
  folder.write("before.json", program(generated + "--limit 2 --json").out);
  expect_refused(generated + "--baseline before.json", {"generations of the same 5 edits", "before.json"});
  expect_refused(eval + "--edits edits.jsonl --generate --max-new-tokens 3 --limit 2 --baseline before.json",
                 {"at most 3 new tokens", "found at most 2"});
  folder.write("plain.json", program(eval + "--edits edits.jsonl --json").out);
  expect_refused(generated + "--baseline plain.json",
                 {"eval --json --generate", "found a file without generations"});
}

TEST_F(Mistakes, StatisticsOfARunInsteadOfItsBaseModel) {
  ASSERT_EQ(program(edit_arguments("run")).exit_code, 0);
  for (const std::string state : {"run", "run@1"}) {
    expect_refused("stats " + state + " --corpus '" + corpus + "' --layers 1,2 --tokens 600 --out t.h5",
                   {"found a run", "give the base model", "llama_tied"});
  }
}

TEST_F(Mistakes, CorpusTooShort) {
  folder.write("short.txt", "Too short.\n");
  expect_refused("stats '" + model + "' --corpus short.txt --layers 1 --tokens 5000 --out t.h5",
                 {"5000 tokens", "short.txt"});
}

}  // namespace
}  // namespace anchorage
