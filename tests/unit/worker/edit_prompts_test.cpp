#include "worker/editing/edit_prompts.hpp"

#include <gtest/gtest.h>

#include "tests/unit/worker/golden_model.hpp"

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

}  // namespace
}  // namespace anchorage::worker
