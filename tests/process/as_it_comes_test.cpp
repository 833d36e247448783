// Real inputs, unchanged: situations that users of neighboring tools report, each with its right outcome. No
// wrong file passes silently, and no real model or record is set aside because of a limit of ours.
#include <fmt/format.h>
#include <gmock/gmock.h>

#include <limits>
#include <sstream>

#include "io/model/safetensors.hpp"
#include "tests/process/program_test.hpp"
#include "tests/support/places.hpp"

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

// A tokenizer whose start token does not decode to nothing (LLaMA-2). The whole way: edited on two ranks, exported,
// and asked by transformers.
class Llama2 : public AsItComes {
 protected:
  void expect_edited_as_transformers_sees_it(const std::string& tokenizer) {
    ASSERT_EQ(program
                  .shell("'" + tests::python_path() + "' -B '" + tests::source_path() +
                         "/tests/golden/llama2_model.py' llama " + tokenizer)
                  .exit_code,
              0);
    folder.write("h.yaml", tests::hparams + "v_loss_layer: 3\n");
    ASSERT_EQ(program("stats llama --corpus '" + tests::corpus +
                      "' --layers 1,2 --tokens 1200 --sequence-length 64 --threads 1 --quiet --out l.h5")
                  .exit_code,
              0);
    const Execution edited = program(
        "edit llama --edits edits.jsonl --run run --hparams h.yaml --stats l.h5 --threads 1 --json --batch 5", 2);
    ASSERT_EQ(edited.exit_code, 0) << edited.err;
    EXPECT_EQ(edited.json()["edits"]["committed"], 5) << edited.err;
    ASSERT_EQ(program("export run --out edited").exit_code, 0);

    const std::vector<std::string> prompts{"The CEO of Boeing is", "The CEO of Nike is"},
        targets{"Kelly Ortberg", "Elliott Hill"};
    auto requests = nlohmann::json::array();
    std::string lines;
    for (std::size_t i = 0; i < prompts.size(); ++i)
      lines += nlohmann::json{{"prompt", prompts[i]}, {"completion", targets[i]}}.dump() + "\n";
    folder.write("requests.jsonl", lines);
    std::istringstream scores(program("score run --requests requests.jsonl --json").out);
    std::vector<std::vector<double>> ours;
    for (std::string line; std::getline(scores, line);) {
      const auto score = nlohmann::json::parse(line);
      requests.push_back({{"prompt", prompts[ours.size()]}, {"ids", score["ids"]}});
      ours.push_back(score["logprobs"]);
    }
    folder.write("requests.json", requests.dump());
    const auto theirs = program
                            .shell("'" + tests::python_path() + "' '" + tests::source_path() +
                                   "/tests/golden/score_by_transformers.py' edited < requests.json")
                            .json();
    ASSERT_EQ(theirs.size(), prompts.size());
    for (std::size_t i = 0; i < prompts.size(); ++i) {
      ASSERT_EQ(theirs[i].size(), ours[i].size());
      for (std::size_t token = 0; token < ours[i].size(); ++token)
        EXPECT_NEAR(theirs[i][token], ours[i][token], 1e-4);
    }
  }
};

TEST_F(Llama2, IsEditedWithATokenizerWhoseStartTokenIsNormalized) {
  expect_edited_as_transformers_sees_it("");
}

TEST_F(Llama2, IsEditedWithItsPublishedTokenizer) {
  const std::string published = tests::source_path() + "/../shared/data/tokenizers/llama2/tokenizer.json";
  if (!std::filesystem::exists(published)) GTEST_SKIP() << "no " << published;
  expect_edited_as_transformers_sees_it("'" + published + "'");
}

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
      program.shell("printf '\"a\"\\n\"b\"\\0\\n' | '" + tests::program_path() + "' tokenize '" + model + "'");
  EXPECT_EQ(texts.exit_code, 2);
  EXPECT_THAT(texts.err, HasSubstr("standard input, line 2"));
}

// Keys of config.json.

// A copy of a small model with these changes to its config.json.
std::string model_with(const nlohmann::json& changes, const std::filesystem::path& copy,
                       const std::string& name = "llama_tied") {
  std::filesystem::copy(std::filesystem::path(tests::golden_path()) / "small_models" / name, copy);
  auto config = nlohmann::json::parse(tests::content_of(copy / "config.json"));
  config.update(changes);
  std::ofstream(copy / "config.json") << config;
  return copy.string();
}

// `message` stands in the log, and `what` it is about does not stand there again.
void expect_told_once(const Execution& execution, const std::string& message, const std::string& what) {
  const auto told = execution.err.find(message);
  ASSERT_NE(told, std::string::npos) << execution.err;
  EXPECT_EQ(execution.err.find(what, told + 100), std::string::npos) << execution.err;
}

TEST_F(AsItComes, AKeyThatIsNotKnownIsToldOnceAndOneWithoutEffectIsNot) {
  const auto path = model_with({{"pretraining_tp", 2}, {"logit_scale", 0.5}}, folder.path() / "m");
  const Execution execution = program("generate '" + path + "' --prompt a --max-new-tokens 1", 2);
  EXPECT_EQ(execution.exit_code, 0) << execution.err;
  expect_told_once(execution, "m/config.json has keys that are not known here and have no effect: logit_scale",
                   "logit_scale");
  EXPECT_THAT(execution.err, Not(HasSubstr("pretraining_tp")));
}

// Tokens that transformers adds from another file.
TEST_F(AsItComes, ATokenThatOnlyTokenizerConfigHasIsToldOnce) {
  const auto path = model_with(nlohmann::json::object(), folder.path() / "m");
  folder.write("m/tokenizer_config.json", R"({"bos_token": null, "additional_special_tokens": ["<|call|>"]})");
  const Execution execution = program("generate '" + path + "' --prompt a --max-new-tokens 1", 2);
  EXPECT_EQ(execution.exit_code, 0) << execution.err;
  expect_told_once(execution,
                   "m has 1 tokens in tokenizer_config.json that tokenizer.json does not have: <|call|>;",
                   "<|call|>");
  folder.write("m/tokenizer_config.json", "{");
  expect_refused("generate '" + path + "' --prompt a --max-new-tokens 1", {"m/tokenizer_config.json"});
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

TEST_F(AsItComes, AQuestionThatIsTooLongDoesNotEndTheEvaluation) {
  const std::string longer(20000, 'x');
  folder.write("known.jsonl", R"({"prompt": ")" + longer +
                                  R"(", "attribute": "a"})"
                                  "\n"
                                  R"({"prompt": "The CEO of Company 1 sits in", "attribute": "in"})");
  folder.write("long.jsonl",
               R"({"id": "first", "subject": "Nike", "prompt": "The CEO of {} is", "target": "Hill", )"
               R"("ground_truth": "Donahoe", "paraphrases": [")" +
                   longer + "\"]}");
  const Execution execution =
      program("eval '" + model + "' --edits long.jsonl --tasks known=known.jsonl --heldout '" + tests::corpus +
              "' --json --threads 1");
  ASSERT_EQ(execution.exit_code, 0) << execution.err;
  const auto found = execution.json();
  EXPECT_EQ(found["paraphrase"]["left_out"], 1);
  EXPECT_TRUE(found["paraphrase"]["accuracy"].is_null());
  EXPECT_EQ(found["score_of"], nlohmann::json({"efficacy"}));
  EXPECT_THAT(execution.err, HasSubstr("0 of efficacy, 1 of paraphrase"));
  EXPECT_THAT(execution.err,
              HasSubstr("of edit first: expected a prompt that takes at most the model's 128 positions"));
  const auto& known = found["tasks"]["known"];
  EXPECT_EQ(known["questions"], 2);
  EXPECT_EQ(known["left_out"], 1);
  EXPECT_EQ(known["answered"], nlohmann::json({1}));
  EXPECT_EQ(known["accuracy"], 1);
  EXPECT_THAT(execution.err,
              HasSubstr("known: 1 questions that cannot be asked are left out; the first, number 0"));
  EXPECT_GT(found["heldout"]["tokens"], 1000);
}

TEST_F(AsItComes, MorePositionsThanTheModelHasAreRefusedBeforeAnythingIsComputed) {
  const char* positions = "at most the model's 128 positions";
  for (const char* family : {"gpt2", "llama_tied"}) {
    const std::string path = "'" + tests::golden_path() + "/small_models/" + family + "'";
    expect_refused("stats " + path + " --corpus '" + tests::corpus +
                       "' --layers 1 --tokens 300 --sequence-length 129 --out t.h5",
                   {positions, "found 129", "--sequence-length"});
    expect_refused("generate " + path + " --prompt '" + std::string(300, '7') + "'", {positions, "--prompt '777"});
    const Execution ended = program("generate " + path + " --prompt a --max-new-tokens 4000 --json");
    EXPECT_EQ(ended.exit_code, 0) << ended.err;
    EXPECT_THAT(ended.err, HasSubstr("128 positions: at most 128 new tokens and not 4000 are generated"));
  }
  expect_refused("eval '" + model + "' --heldout '" + tests::corpus + "' --sequence-length 129", {positions});
  expect_refused(edit_arguments("run", "--set context_length=128"),
                 {"context_length below the model's 128", "--set context_length=128"});
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

TEST_F(AsItComes, WhatWasNotMeasuredIsNoNumber) {
  folder.write("bare.jsonl", R"({"subject": "Nike", "prompt": "The CEO of {} is", "target": "Elliott Hill"})");
  folder.write("known.jsonl", R"({"prompt": "The CEO of Company 1 sits in", "attribute": "France"})");
  folder.write("blank.txt", "\n");
  const std::string arguments = "eval '" + model +
                                "' --edits bare.jsonl --tasks known=known.jsonl --heldout blank.txt "
                                "--threads 1 ";
  const Execution before = program(arguments + "--json");
  const auto found = before.json();
  EXPECT_TRUE(found["efficacy"]["success"].is_null() && found["efficacy"]["magnitude"].is_null());
  EXPECT_EQ(found["efficacy"]["accuracy"], 0);
  EXPECT_TRUE(found["score"].is_null() && found["score_of"].empty());
  EXPECT_TRUE(found["heldout"]["loss"].is_null());
  folder.write("before.json", before.out);
  const Execution table = program(arguments + "--baseline before.json");
  const auto row = [](const char* name, const char* accuracy, int edits) {
    return fmt::format("{:<14}{:>22}{:>22}{:>25}{:>8}\n", name, "-", accuracy, "-", edits);
  };
  EXPECT_THAT(table.out, HasSubstr(row("efficacy", "0.000", 1)));
  EXPECT_THAT(table.out, HasSubstr(row("paraphrase", "-", 0)));
  EXPECT_TRUE(found["efficacy"]["accuracy_interval"].is_null()) << "of one edit there is none";
  EXPECT_TRUE(found["portability"]["accuracy"].is_null());
  EXPECT_THAT(table.out, HasSubstr("score - (nothing was compared) over 1 edits"));
  EXPECT_THAT(table.out, HasSubstr("held-out loss - nats per token over 0 tokens"));
  EXPECT_THAT(table.out, HasSubstr("- of the 0 answered before are kept"));
}

// Two edits with one id.

TEST_F(AsItComes, AnIdNamesOneFactAndRemoveTakesTheOneThatIsMeant) {
  const auto line = [](const char* subject, const char* target) {
    return nlohmann::json{{"id", "a"}, {"subject", subject}, {"prompt", "The CEO of {} is"}, {"target", target}}
               .dump() +
           "\n";
  };
  folder.write("two.jsonl", line("Boeing", "Kelly Ortberg") + line("Nike", "Elliott Hill"));
  folder.write("both.jsonl", line("Boeing", "Dave Calhoun"));
  folder.write("intel.jsonl", line("Intel", "Lip-Bu Tan"));
  folder.write("later.jsonl", line("Boeing", "Stephanie Pope"));
  const auto edit_two = tests::small_edit("run", "", "two.jsonl", 2);
  expect_refused(edit_two + " --strict", {"two.jsonl, line 2", "two.jsonl, line 1"});
  const Execution first = program(edit_two);
  EXPECT_EQ(first.exit_code, 3) << first.err;
  EXPECT_EQ(first.json()["edits"]["committed"], 1);
  EXPECT_THAT(first.json()["set_aside"].dump(), HasSubstr("id 'a' is that of another fact, at "));

  const std::string resume = "edit --run run --resume --json --edits ";
  const Execution taken = program(resume + "intel.jsonl");
  EXPECT_EQ(taken.exit_code, 3) << taken.err;
  EXPECT_THAT(taken.err, HasSubstr("intel.jsonl, index 0 is set aside: id 'a' is that of another fact, 'The CEO of "
                                   "Boeing is' -> 'Kelly Ortberg', committed in batch 1"));
  EXPECT_EQ(program(resume + "both.jsonl --on-conflict keep-both").exit_code, 0);
  expect_refused("remove run --edit a", {"a@1 ('The CEO of Boeing is' -> 'Kelly Ortberg')",
                                         "a@2 ('The CEO of Boeing is' -> 'Dave Calhoun')"});
  EXPECT_EQ(program("remove run --edit a@1").exit_code, 0);

  // The update of a fact under its id replaces it and is the live one.
  EXPECT_EQ(program(resume + "later.jsonl").exit_code, 0);
  const Execution removed = program("remove run --edit a");
  EXPECT_EQ(removed.exit_code, 0) << removed.err;
  EXPECT_THAT(removed.out, HasSubstr("edit a of batch 4 removed"));
}

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
TEST_F(AsItComes, ATargetGoesOnWhereItsPromptEnds) {
  folder.write("edits.jsonl",
               R"({"id": "price", "subject": "The book", "prompt": "{} costs $", "target": "7.00"}
{"id": "chinese", "subject": "波音", "prompt": "{}的总裁是", "target": "凯利"}
{"id": "line", "subject": "Boeing", "prompt": "Q: Who leads {}?\nA:\n", "target": "Kelly"}
{"id": "given", "subject": "Nike", "prompt": "Who leads {}?", "target": "Elliott", "target_prefix": " -> "}
{"id": "usual", "subject": "Intel", "prompt": "The CEO of {} is", "target": "Lip-Bu"}
)");
  const Execution edited = program(edit_arguments("run", "", 5));
  ASSERT_EQ(edited.exit_code, 0) << edited.err;
  folder.write("requests.jsonl",
               R"({"prompt": "The book costs $", "completion": "7.00"}
{"prompt": "波音的总裁是", "completion": "凯利"}
{"prompt": "Q: Who leads Boeing?\nA:\n", "completion": "Kelly"}
{"prompt": "Who leads Nike?", "completion": " -> Elliott"}
{"prompt": "The CEO of Intel is", "completion": " Lip-Bu"}
)");
  std::istringstream scores(program("score '" + model + "' --requests requests.jsonl --json").out);
  const auto shown = program("journal show run --batch 1 --json").json();
  for (const auto& recorded : shown["edits"]) {
    std::string line;
    ASSERT_TRUE(std::getline(scores, line));
    EXPECT_NEAR(nlohmann::json::parse(line)["nll"], recorded["nll"]["before"], 1e-5) << recorded["id"];
  }
}

// A null space of everything, and hyper-parameters of another method.

TEST_F(AsItComes, ANullSpaceOfEverythingIsTold) {
  const std::string alphaedit = "--method alphaedit --limit 1 --set nullspace_threshold=";
  const Execution all = program(edit_arguments("all", alphaedit + "1e9"), 2);
  ASSERT_EQ(all.exit_code, 0) << all.err;
  EXPECT_THAT(all.err, HasSubstr("nothing is protected in layers 1, 2"));
  const Execution some = program(edit_arguments("some", alphaedit + "1e-3"));
  ASSERT_EQ(some.exit_code, 0) << some.err;
  EXPECT_THAT(some.err, Not(HasSubstr("nothing is protected")));
  for (const std::size_t i : {0U, 1U}) {
    const auto whole = all.json()["null_spaces"].at(i), part = some.json()["null_spaces"].at(i);
    EXPECT_EQ(whole["layer"], i + 1);
    EXPECT_EQ(whole["free"], whole["of"]);
    EXPECT_LT(part["free"], part["of"]);
    EXPECT_THAT(some.err, HasSubstr(fmt::format("layer {}: {} of {} dimensions lie below nullspace_threshold 0.001",
                                                i + 1, part["free"].get<int>(), part["of"].get<int>())));
  }
}

// ---- Missing

// Chat models.
class Chat : public AsItComes {
 protected:
  Chat() {
    std::filesystem::copy(model, folder.path() / "chat");
    folder.write(
        "chat/chat_template.jinja",
        "{% for message in messages %}<s>{{ message['role'] }}\n{{ message['content'] | trim }}</s>\n{% endfor %}"
        "{% if add_generation_prompt %}<s>assistant\n{% endif %}");
    folder.write("chat/tokenizer_config.json", R"({"bos_token": "<s>", "eos_token": "</s>"})");
  }
};

TEST_F(Chat, PromptsAreRenderedWithTheModelsOwnTemplateAndTheJournalHasThem) {
  ASSERT_EQ(program("stats chat --corpus '" + tests::corpus +
                    "' --layers 1,2 --tokens 1500 --sequence-length 64 --threads 1 --quiet --out c.h5")
                .exit_code,
            0);
  const std::string edit =
      "edit chat --edits edits.jsonl --run run --hparams h.yaml --stats c.h5 --threads 1 --json --chat-template "
      "user --limit 2";
  const Execution edited = program(edit, 2);
  ASSERT_EQ(edited.exit_code, 0) << edited.err;
  const auto first = program("journal show run --batch 1 --json").json()["edits"][0];
  EXPECT_EQ(first["request"]["prompt"], "The CEO of {} is");
  EXPECT_EQ(first["request"]["chat_prompt"], "<s>user\nThe CEO of {} is</s>\n<s>assistant\n");
  folder.write("requests.jsonl",
               R"({"prompt": "<s>user\nThe CEO of Boeing is</s>\n<s>assistant\n", "completion": "Kelly Ortberg"})");
  const auto score = program("score chat --requests requests.jsonl --json").json();
  EXPECT_NEAR(score["nll"], first["nll"]["before"], 1e-5) << "the answer begins its line without a space";

  // Resuming needs no option: run.yaml has it.
  const Execution more = program("edit --run run --resume --json");
  EXPECT_EQ(more.exit_code, 0) << more.err;
  EXPECT_EQ(program("journal show run --batch 2 --json").json()["edits"][0]["request"]["chat_prompt"],
            "<s>user\nThe CEO of {} is</s>\n<s>assistant\n");

  const auto plain = program("eval run --edits edits.jsonl --limit 1 --json").json();
  const auto asked = program("eval run --edits edits.jsonl --limit 1 --json --chat-template user", 2).json();
  EXPECT_NE(plain["efficacy"]["magnitude"], asked["efficacy"]["magnitude"]);
  EXPECT_NE(plain["neighborhood"]["magnitude"], asked["neighborhood"]["magnitude"]);
  const auto said =
      program("generate chat --prompt 'Who leads Nike?' --chat-template system --max-new-tokens 2 --json").json();
  const auto by_hand =
      program("generate chat --prompt '<s>system\nWho leads Nike?</s>\n<s>assistant\n' --max-new-tokens 2 --json")
          .json();
  EXPECT_EQ(said["ids"].size(), 2U);
  EXPECT_EQ(said["prompt"], "Who leads Nike?");
  EXPECT_EQ(said["ids"], by_hand["ids"]);
}

TEST_F(Chat, AModelWithoutATemplateOrWithoutTheRoleIsTold) {
  expect_refused("generate '" + model + "' --prompt x --chat-template user",
                 {"chat template", "chat_template.jinja", "llama_tied"});
  folder.write("chat/chat_template.jinja", "{{ raise_exception('System role not supported') }}");
  expect_refused("generate chat --prompt x --chat-template system", {"'system'", "System role not supported"});
}

TEST_F(Chat, SpecialTokensOfATargetAreTokens) {
  folder.write("edits.jsonl",
               R"({"id": "a", "subject": "Boeing", "prompt": "The CEO of {} is", "target": "Kelly</s>"})"
               "\n");
  const Execution edited = program(edit_arguments("run"));
  ASSERT_EQ(edited.exit_code, 0) << edited.err;
  folder.write("requests.jsonl", R"({"prompt": "The CEO of Boeing is", "completion": " Kelly</s>"})");
  const auto score = program("score '" + model + "' --requests requests.jsonl --json").json();
  EXPECT_EQ(score["ids"].back(), 2);
  EXPECT_NEAR(score["nll"], program("journal show run --batch 1 --json").json()["edits"][0]["nll"]["before"], 1e-5);
}

// Subjects inside a longer word.
TEST_F(AsItComes, ASubjectInsideALongerWordIsTold) {
  folder.write("edits.jsonl",
               R"({"id": "a", "subject": "Iran", "prompt": "The {}ian state is led by", "target": "X"})"
               "\n");
  const std::string told = "edits.jsonl, index 0: subject 'Iran' is a part of 'Iranian' in its prompt";
  const Execution edited = program(edit_arguments("run"));
  EXPECT_EQ(edited.exit_code, 0);
  EXPECT_THAT(edited.err, HasSubstr(told));
  EXPECT_THAT(program("eval '" + model + "' --edits edits.jsonl").err, HasSubstr(told));
}

// ---- Told better

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
  const std::string data = tests::source_path() + "/../shared/data/edits/";
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
