// What people bring, as it is: situations that users of neighbouring tools report, each with its right outcome. No
// file passes silently wrong, and no real model or record is set aside for a reason that is ours.
#include <gmock/gmock.h>

#include <limits>

#include "io/safetensors.hpp"
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

// Keys of config.json.

// A copy of a small model with these changes to its config.json.
std::string model_with(const nlohmann::json& changes, const std::filesystem::path& copy,
                       const std::string& name = "llama_tied") {
  std::filesystem::copy(std::filesystem::path(ANCHORAGE_GOLDEN) / "small_models" / name, copy);
  auto config = nlohmann::json::parse(tests::content_of(copy / "config.json"));
  config.update(changes);
  std::ofstream(copy / "config.json") << config;
  return copy.string();
}

TEST_F(AsItComes, AKeyThatIsNotKnownIsToldOnceAndOneWithoutEffectIsNot) {
  const auto path = model_with({{"pretraining_tp", 2}, {"logit_scale", 0.5}}, folder.path() / "m");
  const Execution execution = program("generate '" + path + "' --prompt a --max-new-tokens 1", 2);
  EXPECT_EQ(execution.exit_code, 0) << execution.err;
  const auto told =
      execution.err.find("m/config.json has keys that are not known here and have no effect: logit_scale");
  ASSERT_NE(told, std::string::npos) << execution.err;
  EXPECT_EQ(execution.err.find("logit_scale", told + 100), std::string::npos) << execution.err;
  EXPECT_THAT(execution.err, Not(HasSubstr("pretraining_tp")));
}

// Tokens that the model has no row for.

TEST_F(AsItComes, ARecordThatNeedsATokenWithoutARowIsSetAsideAndOtherTextsThatDoAreRefused) {
  const auto path = model_with(nlohmann::json::object(), folder.path() / "m");
  auto tokenizer = nlohmann::json::parse(tests::content_of(path + "/tokenizer.json"));
  auto pad = tokenizer["added_tokens"][0];
  pad["id"] = 320, pad["content"] = "[PAD]";
  tokenizer["added_tokens"].push_back(pad);
  folder.write("m/tokenizer.json", tokenizer.dump());
  folder.write("pad.txt", "a line\nand [PAD] in the next\n");
  folder.write("pad.jsonl", R"({"prompt": "a", "completion": "b"}
{"prompt": "a [PAD]", "completion": "b"}
)");
  folder.write("facts.jsonl",
               std::string(tests::edits) +
                   R"({"id": "p", "subject": "Novo", "prompt": "The CEO of {} is", "target": "[PAD]"})");

  const std::string stats = "stats m --layers 1,2 --tokens 200 --threads 1 --out m.h5 --corpus ";
  const Execution collected = program(stats + "'" + tests::corpus + "'");
  EXPECT_EQ(collected.exit_code, 0) << collected.err;
  EXPECT_THAT(collected.err,
              HasSubstr("1 tokens for which the model's embedding of 320 rows has none: '[PAD]' (id 320)"));
  const Execution edited =
      program("edit m --edits facts.jsonl --run run --hparams h.yaml --stats m.h5 --threads 1 --json --batch 6");
  EXPECT_EQ(edited.exit_code, 3) << edited.err;
  EXPECT_EQ(edited.json()["set_aside"][0]["id"], "p");
  EXPECT_THAT(edited.json()["set_aside"][0]["reason"], HasSubstr("'[PAD]' (id 320)"));
  const Execution evaluated = program("eval run --edits facts.jsonl --json");
  EXPECT_EQ(evaluated.json()["efficacy"]["edits"], 5) << evaluated.err;

  const char* token = "found '[PAD]' (id 320)";
  std::filesystem::remove(folder.path() / "m.h5");
  expect_refused(stats + "pad.txt", {token, "pad.txt, line 2"});
  expect_refused("eval m --heldout pad.txt", {token, "pad.txt, line 2"});
  expect_refused("score m --requests pad.jsonl", {token, "pad.jsonl, line 2"});
  expect_refused("generate m --prompt 'a [PAD]'", {token, "--prompt 'a [PAD]'"});
}

// ---- Silently wrong
// -----------------------------------------------------------------------------------------------

// Weights that are not finite.

TEST_F(AsItComes, AWeightThatIsNotANumberIsNamedByAllWhoLoadIt) {
  model_with(nlohmann::json::object(), folder.path() / "m");
  const auto file = folder.path() / "m" / "model.safetensors";
  const auto opened = io::SafetensorsFile::open(file);
  const auto place = opened.at("model.layers.3.mlp.down_proj.weight").bytes.data() - opened.bytes().data();
  const float nan = std::numeric_limits<float>::quiet_NaN();
  std::fstream(file, std::ios::in | std::ios::out | std::ios::binary)
      .seekp(place)
      .write(reinterpret_cast<const char*>(&nan), sizeof nan);
  const char* found =
      "expected finite weights, found nan at [0, 0], in tensor 'model.layers.3.mlp.down_proj.weight'";
  expect_refused("stats m --corpus '" + tests::corpus + "' --layers 1 --tokens 100 --out m.h5", {found});
  EXPECT_FALSE(std::filesystem::exists(folder.path() / "m.h5"));
  expect_refused("eval m --edits edits.jsonl", {found, "m/model.safetensors"});
}

// Texts longer than the model's positions.

TEST_F(AsItComes, MorePositionsThanTheModelHasAreRefusedBeforeAnythingIsComputed) {
  const char* positions = "at most the model's 128 positions";
  for (const char* family : {"gpt2", "llama_tied"}) {
    const std::string path = std::string("'" ANCHORAGE_GOLDEN "/small_models/") + family + "'";
    expect_refused("stats " + path + " --corpus '" + tests::corpus +
                       "' --layers 1 --tokens 300 --sequence-length 129 --out t.h5",
                   {positions, "found 129", "--sequence-length"});
    expect_refused("generate " + path + " --prompt '" + std::string(300, '7') + "'", {positions, "--prompt '777"});
    const Execution ended = program("generate " + path + " --prompt a --max-new-tokens 4000 --json");
    EXPECT_EQ(ended.exit_code, 0) << ended.err;
    EXPECT_THAT(ended.err, HasSubstr("128 positions: at most 128 new tokens and not 4000 are generated"));
  }
  expect_refused("eval '" + model + "' --heldout '" + tests::corpus + "' --sequence-length 129", {positions});
  expect_refused(edit_arguments("run", "--set context_length=128"), {"context_length below the model's 128"});
  EXPECT_EQ(program("eval '" + model + "' --heldout '" + tests::corpus + "' --threads 1").exit_code, 0)
      << "without --sequence-length as many as the model has";
}

TEST_F(AsItComes, ATextWithoutTokensIsNamed) {
  expect_refused("generate '" + model + "' --prompt ''", {"a prompt of at least one token", "give a text"});
  folder.write("r.jsonl", R"({"prompt": "a", "completion": "b"}
{"prompt": "a", "completion": ""}
)");
  expect_refused("score '" + model + "' --requests r.jsonl", {"at least one token each", "r.jsonl, line 2"});
}

// What was not measured.

// Two edits with one id.

// Tensors and config.json disagree.

TEST_F(AsItComes, TensorsThatConfigJsonDeniesAreToldAndNotUsed) {
  model_with({{"attention_bias", false}, {"num_hidden_layers", 3}}, folder.path() / "m", "llama_untied_bias");
  const Execution execution = program("generate m --prompt a --max-new-tokens 1");
  EXPECT_EQ(execution.exit_code, 0) << execution.err;
  // Four biases in each of three layers, and all sixteen tensors of the fourth.
  EXPECT_THAT(execution.err, HasSubstr("m has 28 tensors that its config.json has no place for"));
  EXPECT_THAT(execution.err, HasSubstr("model.layers.0.self_attn.k_proj.bias"));
  EXPECT_THAT(execution.err, HasSubstr("and 23 more"));
}

// Where a word begins.

// A null space of everything, and hyper-parameters of another method.

// ---- Missing
// ------------------------------------------------------------------------------------------------------

// Chat models.

// Subjects inside a longer word.

// ---- Told better
// --------------------------------------------------------------------------------------------------

// Hyper-parameters of methods that are not here.

// Models that are not all there.

// Prompts, corpora and paths.

}  // namespace
}  // namespace anchorage
