// What people bring, as it is: situations that users of neighbouring tools report, each with its right outcome. No
// file passes silently wrong, and no real model or record is set aside for a reason that is ours.
#include <fmt/format.h>
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

// Keys of config.json.

// Tokens that the model has no row for.

// ---- Silently wrong
// -----------------------------------------------------------------------------------------------

// Weights that are not finite.

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
  EXPECT_THAT(execution.err, HasSubstr("of edit first: expected at most 128 positions"));
  const auto& known = found["tasks"]["known"];
  EXPECT_EQ(known["questions"], 2);
  EXPECT_EQ(known["left_out"], 1);
  EXPECT_EQ(known["answered"], nlohmann::json({1}));
  EXPECT_EQ(known["accuracy"], 1);
  EXPECT_THAT(execution.err,
              HasSubstr("known: 1 questions that cannot be asked are left out; the first, number 0"));
  EXPECT_GT(found["heldout"]["tokens"], 1000);
  EXPECT_THAT(execution.err, HasSubstr("sequences of 129 tokens, not 512 (--sequence-length)"));
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
  EXPECT_THAT(table.out, HasSubstr("efficacy              -     0.000          -       1\n"));
  EXPECT_THAT(table.out, HasSubstr("paraphrase            -         -          -       0\n"));
  EXPECT_THAT(table.out, HasSubstr("score - (nothing was compared) over 1 edits"));
  EXPECT_THAT(table.out, HasSubstr("held-out loss - nats a token over 0 tokens"));
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

  // The update of a fact under its id takes its place, and is the one that stands.
  EXPECT_EQ(program(resume + "later.jsonl").exit_code, 0);
  const Execution removed = program("remove run --edit a");
  EXPECT_EQ(removed.exit_code, 0) << removed.err;
  EXPECT_THAT(removed.out, HasSubstr("edit a of batch 4 taken back"));
}

// Tensors and config.json disagree.

// Where a word begins.

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
