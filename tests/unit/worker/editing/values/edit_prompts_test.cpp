#include "worker/editing/values/edit_prompts.hpp"

#include <fmt/format.h>
#include <gtest/gtest.h>

#include <algorithm>
#include <nlohmann/json.hpp>

#include "tests/support/temporary_directory.hpp"
#include "tests/unit/worker/model/golden_model.hpp"
#include "worker/model/embedding_rows.hpp"

namespace anchorage::worker {
namespace {

class EditPromptsTest : public testing::Test {
 protected:
  std::string text_of(const TokenIds& ids, std::size_t begin, std::size_t end) const {
    return tokenizer.decode(std::span(ids).subspan(begin, end - begin));
  }

  const io::Tokenizer tokenizer = io::Tokenizer::load(tests::golden_model("llama_tied").directory.tokenizer());
  const PromptBuilder builder{tokenizer};
  const io::Edit edit{.id = "a", .subject = "Alphabet", .prompt = "The CEO of {} is", .target = "Sundar Pichai"};
};

TEST_F(EditPromptsTest, SubjectEndsAtItsLastTokenInEveryContext) {
  const std::vector<std::string> prefixes = {"", "Therefore it is so", "I went"};
  const EditPrompts prompts = builder.build(edit, prefixes);
  ASSERT_EQ(prompts.rewrites.size(), 3U);
  for (const PromptRow& row : prompts.rewrites) {
    const auto end = static_cast<std::size_t>(row.subject_last) + 1;
    EXPECT_TRUE(text_of(row.ids, 0, end).ends_with("Alphabet")) << text_of(row.ids, 0, end);
    EXPECT_FALSE(text_of(row.ids, 0, end - 1).ends_with("Alphabet"));
  }
}

TEST_F(EditPromptsTest, TargetFollowsThePromptsOwnIds) {
  const std::vector<std::string> prefixes = {""};
  const EditPrompts prompts = builder.build(edit, prefixes);
  const PromptRow& row = prompts.rewrites.front();
  const TokenIds prompt = tokenizer.encode("The CEO of Alphabet is"), target = tokenizer.encode(" Sundar Pichai");
  EXPECT_EQ(prompts.target, target);
  EXPECT_EQ(row.predicts_from, std::ssize(prompt) - 1);
  EXPECT_EQ(TokenIds(row.ids.begin(), row.ids.begin() + std::ssize(prompt)), prompt);
  EXPECT_EQ(TokenIds(row.ids.begin() + std::ssize(prompt), row.ids.end()),
            TokenIds(target.begin(), target.end() - 1));
}

TEST_F(EditPromptsTest, TheEndOfTextFollowsTheTargetsThatAreToHaveIt) {
  const std::vector<std::string> prefixes = {"", "I went"};
  const auto target_of = [&](const PromptBuilder& from, std::optional<bool> says) {
    io::Edit one = edit;
    one.target_end = says;
    return from.build(one, prefixes).target;
  };
  const TokenIds bare = tokenizer.encode(" Sundar Pichai");
  TokenIds ended = bare;
  ended.push_back(2);
  const PromptBuilder where_asked = builder.with_target_end({.token = 2, .by_default = false}),
                      always = builder.with_target_end({.token = 2, .by_default = true});
  EXPECT_EQ(target_of(where_asked, std::nullopt), bare);
  EXPECT_EQ(target_of(where_asked, true), ended);
  EXPECT_EQ(target_of(always, std::nullopt), ended);
  EXPECT_EQ(target_of(always, false), bare);
  EXPECT_EQ(target_of(builder, true), bare) << "evaluation has the bare target";
  EXPECT_EQ(always.target_ids("The CEO of Alphabet is", "Sundar Pichai"), bare);

  // The whole bare target predicts something then: it is in the row.
  const PromptRow row = always.build(edit, prefixes).rewrites.front();
  EXPECT_EQ(TokenIds(row.ids.end() - std::ssize(bare), row.ids.end()), bare);

  io::Edit asking = edit;
  asking.target_end = true;
  const auto without = builder.with_target_end({.token = std::nullopt, .by_default = false});
  EXPECT_NE(without.build(asking, prefixes).rewrites.front().rejection.find("'target_end'"), std::string::npos);
  EXPECT_TRUE(without.build(edit, prefixes).rewrites.front().is_usable());
}

TEST_F(EditPromptsTest, LeadingSpacesOfATargetDoNotCount) {
  EXPECT_EQ(builder.target_ids("It is", "  Paris"), builder.target_ids("It is", "Paris"));
}

TEST_F(EditPromptsTest, SubjectOfBytesWithinACharacterEndsBehindTheWholeCharacter) {
  const io::Edit accented{.id = "b", .subject = "Café", .prompt = "{}é is in", .target = "Rome"};
  const std::vector<std::string> prefixes = {""};
  const PromptRow row = builder.build(accented, prefixes).rewrites.front();
  EXPECT_EQ(text_of(row.ids, 0, static_cast<std::size_t>(row.subject_last) + 1), "Café");
}

TEST_F(EditPromptsTest, EssenceIsThePromptOfTheKlTerm) {
  const EditPrompts prompts = builder.build(edit, std::vector<std::string>{""});
  EXPECT_EQ(prompts.kl_prompt.ids, tokenizer.encode("Alphabet is a"));
  EXPECT_EQ(prompts.kl_prompt.predicts_from, std::ssize(prompts.kl_prompt.ids) - 1);
}

TEST_F(EditPromptsTest, ARowThatTakesMorePositionsThanThereAreHasAnObjection) {
  const std::vector<std::string> prefixes = {"", "I went"};
  const auto rows = builder.build(edit, prefixes).rewrites;
  const auto first = std::ssize(rows[0].ids);
  ASSERT_GT(std::ssize(rows[1].ids), first);
  const auto limited = builder.build(edit, prefixes, "", first).rewrites;
  EXPECT_TRUE(limited[0].is_usable());
  EXPECT_EQ(limited[0].ids, rows[0].ids);
  EXPECT_EQ(limited[1].rejection,
            fmt::format("expected a prompt that takes at most {} positions with its target, found {}", first,
                        std::ssize(rows[1].ids)));
  EXPECT_FALSE(builder.build(edit, prefixes, "", first - 1).rewrites[0].is_usable()) << "the target takes some too";
  EXPECT_FALSE(builder.build(edit, prefixes, "", 1).kl_prompt.is_usable());
}

TEST_F(EditPromptsTest, SpecialTokensInPromptSubjectAndTargetCountAsTokens) {
  const std::int32_t end = *tokenizer.id_of("</s>");
  io::Edit chat = edit;
  chat.prompt = "<s>user</s>\nWho leads {}?</s>\n";
  chat.target = "Sundar</s>";
  const EditPrompts prompts = builder.build(chat, std::vector<std::string>{""});
  const PromptRow& row = prompts.rewrites.front();
  EXPECT_EQ(text_of(row.ids, 0, static_cast<std::size_t>(row.subject_last) + 1), "<s>user</s>\nWho leads Alphabet");
  EXPECT_EQ(prompts.target.back(), end);
  EXPECT_EQ(tokenizer.decode(prompts.target), "Sundar</s>") << "a line of its own begins without a space";
  chat.subject = "Alpha<s>bet";
  EXPECT_TRUE(builder.build(chat, std::vector<std::string>{""}).rewrites.front().is_usable());
}

TEST_F(EditPromptsTest, TargetPrefixOfTheRecordWins) {
  io::Edit given = edit;
  given.target_prefix = "";
  EXPECT_EQ(builder.build(given, std::vector<std::string>{""}).target, tokenizer.encode("Sundar Pichai"));
  given.target_prefix = "\n- ";
  EXPECT_EQ(builder.build(given, std::vector<std::string>{""}).target, tokenizer.encode("\n- Sundar Pichai"));
}

TEST(EditPromptsOfATokenizerThatDropsLetters, ARowWithoutATokenForTheSubjectsEndHasAnObjection) {
  const tests::TemporaryDirectory folder;
  auto description =
      nlohmann::json::parse(tests::content_of(tests::golden_model("llama_tied").directory.tokenizer()));
  description["normalizer"] = {{"type", "Replace"}, {"pattern", {{"String", "z"}}}, {"content", ""}};
  const auto tokenizer = io::Tokenizer::load(folder.write("tokenizer.json", description.dump()));
  const io::Edit dropped{.id = "z", .subject = "Franz", .prompt = "{} is", .target = "here"};
  const PromptRow row = PromptBuilder(tokenizer).build(dropped, std::vector<std::string>{""}).rewrites.front();
  EXPECT_EQ(row.rejection, "expected a token that stands for the end of the subject in 'Franz is', found none");
}

TEST_F(EditPromptsTest, ACharacterWithoutATokenIsARowsObjectionAndNoEndOfTheRun) {
  const tests::TemporaryDirectory folder;
  auto description =
      nlohmann::json::parse(tests::content_of(tests::golden_model("llama_tied").directory.tokenizer()));
  description["model"]["unk_token"] = "<none>";
  description["pre_tokenizer"] = nullptr;  // so that letters are themselves, and some have no token
  const auto letters = io::Tokenizer::load(folder.write("tokenizer.json", description.dump()));
  const PromptBuilder narrow(letters);
  const std::vector<std::string> prefixes = {"", "\u6ce2"};
  const io::Edit sound{.id = "s", .subject = "ab", .prompt = "{}is", .target = "cd", .target_prefix = ""};
  const EditPrompts prompts = narrow.build(sound, prefixes);
  EXPECT_TRUE(prompts.rewrites[0].is_usable()) << prompts.rewrites[0].rejection;
  EXPECT_NE(prompts.rewrites[1].rejection.find("'<none>'"), std::string::npos) << prompts.rewrites[1].rejection;
  io::Edit other = sound;
  other.target = "\u6ce2";
  EXPECT_NE(narrow.build(other, prefixes).rewrites[0].rejection.find("'<none>'"), std::string::npos);
}

TEST_F(EditPromptsTest, AStartTokenThatTheTextBeginsWithIsNotPutThereAgain) {
  const tests::TemporaryDirectory folder;
  auto description =
      nlohmann::json::parse(tests::content_of(tests::golden_model("llama_tied").directory.tokenizer()));
  description["post_processor"] = {
      {"type", "TemplateProcessing"},
      {"single",
       {{{"SpecialToken", {{"id", "<s>"}, {"type_id", 0}}}}, {{"Sequence", {{"id", "A"}, {"type_id", 0}}}}}},
      {"pair", nlohmann::json::array()},
      {"special_tokens", {{"<s>", {{"id", "<s>"}, {"ids", {1}}, {"tokens", {"<s>"}}}}}}};
  const auto with_start = io::Tokenizer::load(folder.write("tokenizer.json", description.dump()));
  const PromptBuilder starting(with_start);
  EXPECT_EQ(starting.prompt_ids("<s>a b"), starting.prompt_ids("a b"));
  EXPECT_EQ(starting.prompt_ids("a b").front(), 1);
}

TEST_F(EditPromptsTest, ContextsStandInsideTheChat) {
  io::Edit chat = edit;
  io::set_chat_prompt(chat, "<s>system\nBe brief.</s><s>user\nThe CEO of {} is</s>\n");
  const PromptRow row = builder.build(chat, std::vector<std::string>{"I went"}).rewrites.front();
  EXPECT_EQ(text_of(row.ids, 0, static_cast<std::size_t>(row.predicts_from) + 1),
            "<s>system\nBe brief.</s><s>user\nI went. The CEO of Alphabet is</s>\n");
  EXPECT_TRUE(text_of(row.ids, 0, static_cast<std::size_t>(row.subject_last) + 1).ends_with("of Alphabet"));
}

// The tokenizer has more tokens than the model: of the 320 the last ones may occur in any row, or in the target.
TEST_F(EditPromptsTest, ARowThatNeedsATokenWithoutARowInTheModelHasAnObjection) {
  const std::vector<std::string> prefixes = {""};
  const EditPrompts all = builder.build(edit, prefixes);
  const auto needed = std::max(std::ranges::max(all.rewrites[0].ids), std::ranges::max(all.target));
  EXPECT_TRUE(PromptBuilder(tokenizer, needed + 1).build(edit, prefixes).rewrites[0].is_usable());
  EXPECT_EQ(PromptBuilder(tokenizer, needed).build(edit, prefixes).rewrites[0].rejection,
            fmt::format("expected tokens that the model has one of its {} rows for, found '{}' (id {})", needed,
                        tokenizer.token_of(needed).value(), needed));
}

TEST_F(EditPromptsTest, TokensWithoutARowAreNamed) {
  EXPECT_TRUE(tokens_without_row(tokenizer, 320).empty());
  EXPECT_TRUE(tokens_without_row(tokenizer, 400).empty());
  const auto two = tokens_without_row(tokenizer, 318);
  ASSERT_EQ(two.size(), 2U);
  EXPECT_EQ(two[1], fmt::format("'{}' (id 319)", tokenizer.token_of(319).value()));
}

}  // namespace
}  // namespace anchorage::worker
