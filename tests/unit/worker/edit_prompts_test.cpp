#include "worker/editing/edit_prompts.hpp"

#include <fmt/format.h>
#include <gtest/gtest.h>

#include <algorithm>

#include "tests/unit/worker/golden_model.hpp"
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

TEST_F(EditPromptsTest, LeadingSpacesOfATargetDoNotCount) {
  EXPECT_EQ(builder.target_ids("  Paris"), builder.target_ids("Paris"));
}

TEST_F(EditPromptsTest, SubjectOfBytesWithinACharacterEndsBehindTheWholeCharacter) {
  const io::Edit accented{.id = "b", .subject = "Café", .prompt = "{}é is in", .target = "Rome"};
  const std::vector<std::string> prefixes = {""};
  const PromptRow row = builder.build(accented, prefixes).rewrites.front();
  EXPECT_EQ(text_of(row.ids, 0, static_cast<std::size_t>(row.subject_last) + 1), "Café");
}

TEST_F(EditPromptsTest, EssenceIsThePromptOfTheKlTerm) {
  const EditPrompts prompts = builder.build(edit, std::vector<std::string>{""});
  EXPECT_EQ(prompts.essence.ids, tokenizer.encode("Alphabet is a"));
  EXPECT_EQ(prompts.essence.predicts_from, std::ssize(prompts.essence.ids) - 1);
}

TEST_F(EditPromptsTest, ARowThatTakesMorePositionsThanThereAreHasAnObjection) {
  const std::vector<std::string> prefixes = {"", "I went"};
  const auto rows = builder.build(edit, prefixes).rewrites;
  const auto first = std::ssize(rows[0].ids);
  ASSERT_GT(std::ssize(rows[1].ids), first);
  const auto limited = builder.build(edit, prefixes, "", first).rewrites;
  EXPECT_TRUE(limited[0].is_usable());
  EXPECT_EQ(limited[0].ids, rows[0].ids);
  EXPECT_EQ(limited[1].objection,
            fmt::format("expected a prompt that takes at most {} positions with its target, found {}", first,
                        std::ssize(rows[1].ids)));
  EXPECT_FALSE(builder.build(edit, prefixes, "", first - 1).rewrites[0].is_usable()) << "the target takes some too";
  EXPECT_FALSE(builder.build(edit, prefixes, "", 1).essence.is_usable());
}

// A special token in a text has no text of its own.
TEST_F(EditPromptsTest, ARowWhoseTokensDoNotDecodeToItHasAnObjection) {
  const std::vector<std::string> prefixes = {"I </s> went", ""};
  const auto rows = builder.build(edit, prefixes).rewrites;
  EXPECT_EQ(
      rows[0].objection,
      "expected a prompt whose tokens decode to it, 'I </s> went. The CEO of Alphabet is', found 'I  went. The "
      "CEO of Alphabet is'");
  EXPECT_TRUE(rows[1].is_usable());
  io::Edit special = edit;
  special.subject = "Alpha<s>bet";
  EXPECT_FALSE(builder.build(special, prefixes).rewrites[1].is_usable());
  EXPECT_FALSE(builder.build(special, prefixes).essence.is_usable());
}

// The tokenizer has more tokens than the model: of the 320 the last ones may occur in any row, or in the target.
TEST_F(EditPromptsTest, ARowThatNeedsATokenWithoutARowInTheModelHasAnObjection) {
  const std::vector<std::string> prefixes = {""};
  const EditPrompts all = builder.build(edit, prefixes);
  const auto needed = std::max(std::ranges::max(all.rewrites[0].ids), std::ranges::max(all.target));
  EXPECT_TRUE(PromptBuilder(tokenizer, needed + 1).build(edit, prefixes).rewrites[0].is_usable());
  EXPECT_EQ(PromptBuilder(tokenizer, needed).build(edit, prefixes).rewrites[0].objection,
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
