// The forms in which a run is exported, read by the programs that they are for.
#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <cmath>
#include <map>
#include <memory>

#include "tests/process/program_test.hpp"
#include "tests/support/places.hpp"

namespace anchorage {
namespace {

namespace fs = std::filesystem;

using testing::AllOf;
using testing::Ge;
using testing::Gt;
using testing::HasSubstr;
using testing::Le;
using testing::Lt;
using tests::content_of;
using tests::Execution;

// A run of five edits in three batches, of a small model; made once for all tests.
class EditedModel {
 public:
  explicit EditedModel(const std::string& name) : base(tests::golden_path() + "/small_models/" + name) {
    folder.write("h.yaml", tests::hparams);
    folder.write("edits.jsonl", tests::edits);
    const Execution stats = program("stats '" + base + "' --corpus '" + tests::corpus +
                                    "' --layers 1,2 --tokens 1500 --sequence-length 64 --threads 1 --out s.h5");
    EXPECT_EQ(stats.exit_code, 0) << stats.err;
    const Execution edit = program("edit '" + base +
                                   "' --edits edits.jsonl --run run --hparams h.yaml --stats s.h5 --threads 1 "
                                   "--batch 2");
    EXPECT_EQ(edit.exit_code, 0) << edit.err;
  }

  // Exports into a new directory of this name.
  nlohmann::json exported(const std::string& out, const std::string& options = "") const {
    const Execution execution = program("export run --threads 1 --json --out " + out + " " + options);
    EXPECT_EQ(execution.exit_code, 0) << execution.err;
    return execution.exit_code == 0 ? execution.json() : nlohmann::json();
  }

  // Runs tests/process/compare_exports.py.
  nlohmann::json compared(const std::string& arguments) const {
    const Execution execution = program.shell("'" + tests::python_path() + "' '" + tests::source_path() +
                                              "/tests/process/compare_exports.py' " + arguments);
    EXPECT_EQ(execution.exit_code, 0) << execution.err;
    return execution.exit_code == 0 ? execution.json() : nlohmann::json();
  }

  bool digests_hold(const std::string& out) const {
    return program.shell("cd " + out + " && sha256sum --check --strict --quiet SHA256SUMS").exit_code == 0;
  }

  const std::string base;
  const tests::TemporaryDirectory folder;
  const tests::Program program{folder.path()};
};

class ExportOf : public testing::TestWithParam<const char*> {
 protected:
  static const EditedModel& edited(const std::string& name) {
    static std::map<std::string, std::unique_ptr<EditedModel>> models;
    auto& model = models[name];
    if (!model) model = std::make_unique<EditedModel>(name);
    return *model;
  }
  const EditedModel& edited() const { return edited(GetParam()); }
};

TEST_P(ExportOf, AdapterGivesInPeftTheLogProbabilitiesOfTheWholeModel) {
  edited().exported("peft-full");
  const auto report = edited().exported("adapter", "--format peft --verify");
  EXPECT_EQ(report["rank"], 8) << "the smallest that vLLM accepts for five edits";
  EXPECT_EQ(report["lost"], 0);
  for (const auto& layer : report["layers"]) EXPECT_THAT(layer["rank"].get<int>(), AllOf(Ge(1), Le(5)));
  EXPECT_THAT(report["verified"]["largest_difference"].get<double>(), Lt(1e-4));
  const auto found = edited().compared("peft peft-full '" + edited().base + "' adapter");
  EXPECT_LT(found["largest"], 1e-4);
  EXPECT_GT(found["edited"], 1e-2) << "the edits show in these texts";
  EXPECT_TRUE(edited().digests_hold("adapter"));
}

TEST_P(ExportOf, GgufHasTheTensorsOfTheWholeModelAndItsTokens) {
  edited().exported("gguf-full");
  for (const auto& [type, dtype] :
       {std::pair("auto", "torch.float32"), {"f16", "torch.float16"}, {"bf16", "torch.bfloat16"}}) {
    const std::string out = std::string("gguf-") + type;
    edited().exported(out, std::string("--format gguf --verify --gguf-type ") + type);
    const auto found = edited().compared("gguf gguf-full " + out);
    EXPECT_EQ(found["type"], dtype);
    EXPECT_GT(found["tensors"], 30);
    EXPECT_EQ(found["differ"], nlohmann::json::array()) << type;
    EXPECT_TRUE(found["tokens"]);
    EXPECT_TRUE(edited().digests_hold(out));
    EXPECT_FALSE(fs::exists(edited().folder.path() / out / "hf"));
    if (dtype != std::string("torch.float32")) continue;
    EXPECT_LT(found["largest"], 1e-4) << "the hyper-parameters are in the file";
  }
}

TEST_P(ExportOf, WholeModelIsReadBackWithTheSameLogProbabilities) {
  const auto report = edited().exported("verified", "--verify");
  EXPECT_EQ(report["verified"]["largest_difference"], 0);
  EXPECT_EQ(report["verified"]["edits"], 5);
  EXPECT_EQ(report["verified"]["sentences"], 12);
  EXPECT_GT(report["verified"]["log_probabilities"], 500);
  EXPECT_TRUE(edited().digests_hold("verified"));
}

INSTANTIATE_TEST_SUITE_P(Family, ExportOf, testing::Values("llama_tied", "gpt2"),
                         [](const auto& parameter) { return std::string(parameter.param); });

// Of small models of all families, by tests/process/gguf_families.py.
class Gguf : public testing::Test {
 protected:
  static void SetUpTestSuite() {
    const tests::TemporaryDirectory out;
    const Execution execution = tests::Program(out.path())
                                    .shell("'" + tests::python_path() + "' -B '" + tests::source_path() +
                                           "/tests/process/gguf_families.py' '" + tests::golden_path() +
                                           "/small_models' '" + tests::source_path() + "/launch' .");
    ASSERT_EQ(execution.exit_code, 0) << execution.err;
    found = execution.json();
  }

  static bool is_written(const nlohmann::json& of) { return !of.contains("refused"); }

  inline static nlohmann::json found;  // by the model's name
};

TEST_F(Gguf, HasTheTensorsAndTheHyperParametersOfTheDirectory) {
  int written = 0;
  for (const auto& [name, of] : found.items()) {
    if (!is_written(of)) continue;
    ++written;
    EXPECT_GT(of["tensors"], 20) << name;
    EXPECT_EQ(of["differ"], nlohmann::json::array()) << name;
    EXPECT_EQ(of["metadata"], nlohmann::json::object()) << name << ": as in config.json, and as read";
  }
  EXPECT_GE(written, 18);
}

TEST_F(Gguf, GivesInTransformersTheLogProbabilitiesOfTheDirectory) {
  for (const auto& [name, of] : found.items()) {
    if (!is_written(of)) continue;
    EXPECT_LT(of["transformers"], 1e-4) << name;
  }
}

// llama.cpp rounds keys, values and what GELU takes and gives to f16. The small Gemmas have gains and scores as
// real ones do, so that rounding alone moves transformers' own log-probabilities by up to 0.06; a wrong window,
// soft cap, scale or rotary base moves them by 1 to 16.
TEST_F(Gguf, GivesInLlamaCppTheLogProbabilitiesOfTheDirectory) {
  if (found["llama_tied"]["llama.cpp"].is_null()) GTEST_SKIP() << "no package xllamacpp, which has llama.cpp in it";
  for (const auto& [name, of] : found.items()) {
    if (!is_written(of)) continue;
    EXPECT_LT(of["llama.cpp"], name.starts_with("gemma") ? 0.1 : 0.01) << name;
  }
}

TEST_F(Gguf, OfWhatLlamaCppDoesNotComputeIsRefusedByName) {
  EXPECT_THAT(found["gptj"].value("refused", ""), HasSubstr("GPT-J, of which llama.cpp has the name"));
  for (const char* name : {"gemma2", "gemma3", "gemma3_with_vision"})
    EXPECT_THAT(found[name].value("refused", ""), HasSubstr("a query_pre_attn_scalar of 24")) << name;
  EXPECT_THAT(found["gemma2:no_window"].value("refused", ""), HasSubstr("Gemma without a sliding window"));
}

TEST_F(Gguf, SaysWhatLlamaCppComputesOtherwise) {
  const auto notes = [&](const char* name) { return found[name]["notes"].dump(); };
  for (const char* name : {"mistral", "phi3", "qwen2_upper_windows", "qwen3_mixed_windows"})
    EXPECT_THAT(notes(name), HasSubstr("no sliding window for this family: a text of more than 8 tokens")) << name;
  for (const char* name : {"phi3_longrope", "phi4_mini"})
    EXPECT_THAT(notes(name), HasSubstr("long rotary factors where its context is set to more than 32")) << name;
  EXPECT_THAT(notes("llama_dynamic_rope"), HasSubstr("'dynamic'"));
  for (const char* name : {"llama_tied", "llama3_rope", "qwen2", "qwen3", "gpt2", "gemma2:known", "gemma3:known"})
    EXPECT_EQ(notes(name), "[]") << name;
}

TEST(GgufByProgram, OfGptJIsRefusedAndNothingIsLeft) {
  const EditedModel gptj("gptj");
  const Execution execution = gptj.program("export run --out none --format gguf --threads 1");
  EXPECT_EQ(execution.exit_code, 2);
  EXPECT_THAT(execution.err, AllOf(HasSubstr("expected a model that llama.cpp computes"),
                                   HasSubstr("GPT-J, of which llama.cpp has the name and no implementation")));
  EXPECT_FALSE(fs::exists(gptj.folder.path() / "none"));
}

TEST(GgufByProgram, OfMistralSaysThatTheWindowIsNotComputed) {
  const EditedModel mistral("mistral");
  const Execution execution = mistral.program("export run --out gguf --format gguf --verify --threads 1");
  EXPECT_EQ(execution.exit_code, 0) << execution.err;
  EXPECT_THAT(execution.out, HasSubstr("llama.cpp: it has no sliding window for this family"));
  EXPECT_THAT(content_of(mistral.folder.path() / "gguf" / "README.md"),
              HasSubstr("In llama.cpp: it has no sliding"));
}

TEST(AdapterByProgram, OfATextModelBesideVisionGivesInPeftTheLogProbabilitiesOfTheWholeModel) {
  const EditedModel gemma("gemma3_with_vision");
  gemma.exported("full");
  gemma.exported("adapter", "--format peft --verify");
  const auto found = gemma.compared("peft full '" + gemma.base + "' adapter");
  EXPECT_LT(found["largest"], 1e-4);
  EXPECT_GT(found["edited"], 1e-2) << "the edits show in these texts";
}

class Export : public ExportOf {
 protected:
  // Runs `export` on a disk that flips bits in this file, and expects that nothing is left.
  void expect_found_out(const std::string& file, const std::string& format) const {
    const Execution execution = run_.program.shell(
        "ASAN_OPTIONS=verify_asan_link_order=0 LD_PRELOAD='" + tests::build_path() + "/tests/libflipping_disk.so" +
        "' ANCHORAGE_FLIPPED=" + file + " '" + tests::program_path() +
        "' export run --threads 1 --verify --out flipped --format " + format);
    EXPECT_EQ(execution.exit_code, 1) << execution.err;
    EXPECT_THAT(execution.err, HasSubstr("what was read back from"));
    EXPECT_FALSE(fs::exists(run_.folder.path() / "flipped"));
    EXPECT_FALSE(fs::exists(run_.folder.path() / "flipped.partial"));
  }

  const EditedModel& run_ = edited("llama_tied");
};

TEST_F(Export, WithoutVerifyDoesNotReadBack) {
  EXPECT_FALSE(run_.exported("unverified").contains("verified"));
}

TEST_F(Export, FindsOutADiskThatFlipsBits) {
  expect_found_out("model.safetensors", "hf");
  expect_found_out("adapter_model.safetensors", "peft");
  expect_found_out("model.gguf", "gguf");
}

TEST_F(Export, OfASmallerRankSaysWhatItLoses) {
  const auto report = run_.exported("truncated", "--format peft --rank 1 --verify");
  EXPECT_EQ(report["rank"], 1);
  EXPECT_THAT(report["lost"].get<double>(), AllOf(Gt(0.1), Lt(1.0)));
  double lost = 0, whole = 0;
  for (const auto& layer : report["layers"]) {
    EXPECT_THAT(layer["lost"].get<double>(), AllOf(Gt(0.0), Lt(1.0)));
    lost += std::pow(layer["lost"].get<double>() * layer["norm"].get<double>(), 2);
    whole += std::pow(layer["norm"].get<double>(), 2);
  }
  EXPECT_NEAR(report["lost"].get<double>(), std::sqrt(lost / whole), 1e-9);
  EXPECT_EQ(report["truncated"]["edits"], 5);
  EXPECT_NE(report["truncated"]["after"]["nll"], report["truncated"]["before"]["nll"]);
  EXPECT_NE(report["truncated"]["after"]["held_out_loss"], report["truncated"]["before"]["held_out_loss"]);
  EXPECT_EQ(report["verified"]["largest_difference"], 0) << "what was read back is what was written";
  EXPECT_THAT(content_of(run_.folder.path() / "truncated" / "README.md"), HasSubstr("Truncated: "));
}

TEST_F(Export, OfARankThatVllmDoesNotAcceptWarns) {
  const Execution execution = run_.program("export run --out six --format peft --rank 6 --threads 1");
  EXPECT_EQ(execution.exit_code, 0);
  EXPECT_THAT(execution.err, HasSubstr("rank 6: vLLM accepts 1, 8, 16"));
}

TEST_F(Export, RefusesOptionsOfAnotherFormatAndARunWithoutEdits) {
  for (const char* options : {"--rank 8", "--gguf-type f16", "--format peft --link", "--format gguf --rank 8",
                              "--format peft --rank 0", "--format peft --rank eight", "--format onnx"}) {
    const Execution execution = run_.program(std::string("export run --out refused ") + options);
    EXPECT_NE(execution.exit_code, 0) << options;
    EXPECT_FALSE(fs::exists(run_.folder.path() / "refused")) << options;
  }
  const Execution unchanged = run_.program("export run@0 --out refused --format peft");
  EXPECT_EQ(unchanged.exit_code, 2);
  EXPECT_THAT(unchanged.err, HasSubstr("a run that changed weights"));
}

TEST_F(Export, SaysWhichPythonPackageIsMissing) {
  const auto bin = run_.folder.path() / "other" / "bin";
  fs::create_directories(bin);
  run_.folder.write("other/bin/python3", "#!/bin/sh\necho 'not installed: no gguf here' >&2\nexit 1\n");
  fs::permissions(bin / "python3", fs::perms::owner_all);
  const Execution execution = run_.program.shell("ANCHORAGE_PYTHON=\"$PWD/other\" '" + tests::program_path() +
                                                 "' export run --out none --format gguf");
  EXPECT_EQ(execution.exit_code, 2);
  EXPECT_THAT(execution.err, AllOf(HasSubstr("expected the Python package gguf"), HasSubstr("pip install gguf")));
}

TEST_F(Export, SharesFilesThatNoEditChanged) {
  // A second shard, which no edit changes.
  const auto base = run_.folder.path() / "sharded";
  const Execution made = run_.program.shell(
      "'" + tests::python_path() +
      "' -c 'import sys; from transformers import AutoModelForCausalLM as Model; "
      "Model.from_pretrained(sys.argv[1]).save_pretrained(sys.argv[2], max_shard_size=\"60KB\")' '" +
      run_.base + "' sharded && cp '" + run_.base + "/tokenizer.json' sharded");
  ASSERT_EQ(made.exit_code, 0) << made.err;
  run_.folder.write("sharded/README.md", "of the base");
  ASSERT_EQ(run_.program("edit sharded --edits edits.jsonl --run sharded-run --hparams h.yaml --stats s.h5 "
                         "--threads 1 --limit 2")
                .exit_code,
            0);
  const Execution execution = run_.program("export sharded-run --out linked --link --verify --json --threads 1");
  ASSERT_EQ(execution.exit_code, 0) << execution.err;
  const auto report = execution.json();
  int written = 0, shared = 0;
  for (const auto& [name, placement] : report["weights"].items()) {
    written += placement == "written" ? 1 : 0;
    shared += placement == "reflinked" || placement == "hard-linked" ? 1 : 0;
    EXPECT_EQ(fs::equivalent(base / name, run_.folder.path() / "linked" / name), placement == "hard-linked")
        << name;
  }
  EXPECT_GE(written, 1);
  EXPECT_GE(shared, 1);
  EXPECT_TRUE(run_.digests_hold("linked"));
  EXPECT_EQ(report["left_out"], nlohmann::json::array({"README.md"}));
}

TEST_F(Export, HasACardThatNamesBaseMethodAndEdits) {
  run_.exported("with-card");
  const std::string card = content_of(run_.folder.path() / "with-card" / "README.md");
  EXPECT_THAT(card, testing::StartsWith("---\nbase_model: \"llama_tied\"\nlibrary_name: transformers\n"));
  for (const char* part : {"- knowledge-editing\n- b-eac\n---\n", "`llama_tied` with 5 facts", "method `b-eac`",
                           "Layers 1, 2 were edited", "of the 5 edits had the target's tokens", "## Limits"}) {
    EXPECT_THAT(card, HasSubstr(part));
  }
}

}  // namespace
}  // namespace anchorage
