#include "worker/editing/edit_prompts.hpp"

#include <fmt/format.h>

#include "worker/model/embedding_rows.hpp"

namespace anchorage::worker {
namespace {

// True where encoding a text puts a word boundary before it (Llama-2's normaliser, ByteLevel's add_prefix_space):
// another space would then make two.
bool begins_words_itself(const io::Tokenizer& tokenizer) {
  const std::string first = tokenizer.token_of(tokenizer.encode("a").front()).value_or("");
  return first.starts_with("\u2581") || first.starts_with("\u0120");
}

}  // namespace

TokenIds PromptBuilder::prompt_ids(const std::string& text) const {
  return tokenizer_.encode(text, {.add_special_tokens = true});
}

TokenIds PromptBuilder::target_ids(const std::string& target) const {
  const auto begin = target.find_first_not_of(' ');
  const std::string word = begin == std::string::npos ? target : target.substr(begin);
  return tokenizer_.encode(begins_words_itself(tokenizer_) ? word : " " + word);
}

// The first token behind which the decoded text holds `byte_end` bytes of `text`: tokens may straddle the subject's
// end. None where a special token in the text is left out, or a normaliser changed it.
std::optional<std::int64_t> PromptBuilder::token_at(const TokenIds& ids, const std::string& text,
                                                    std::size_t byte_end) const {
  for (std::size_t count = 1; count <= ids.size(); ++count) {
    const std::string decoded = tokenizer_.decode(std::span(ids).first(count), {.skip_special_tokens = true});
    if (decoded.size() >= byte_end && text.starts_with(decoded)) return static_cast<std::int64_t>(count) - 1;
  }
  return std::nullopt;
}

// The prompt in its context with the tokens `behind` it.
PromptRow PromptBuilder::row(const std::string& prefix, const io::Edit& edit, const std::string& prompt,
                             std::span<const std::int32_t> behind, std::int64_t positions) const {
  const std::size_t slot = prompt.find("{}");
  const std::string head = (prefix.empty() ? "" : prefix + ". ") + prompt.substr(0, slot) + edit.subject;
  const std::string text = head + prompt.substr(slot + 2);
  PromptRow row{.ids = prompt_ids(text)};
  if (const auto taken = std::ssize(row.ids) + std::ssize(behind); taken > positions) {
    row.objection = fmt::format("expected a prompt that takes at most {} positions with its target, found {}",
                                positions, taken);
    return row;
  }
  const auto subject_last = token_at(row.ids, text, head.size());
  if (!subject_last) {
    row.objection = fmt::format("expected a prompt whose tokens decode to it, '{}', found '{}'", text,
                                tokenizer_.decode(row.ids, {.skip_special_tokens = true}));
    return row;
  }
  row.subject_last = *subject_last;
  row.predicts_from = std::ssize(row.ids) - 1;
  row.ids.insert(row.ids.end(), behind.begin(), behind.end());
  return row;
}

void PromptBuilder::object_to_tokens_without_row(PromptRow& row, std::span<const std::int32_t> target) const {
  for (const auto ids : {std::span<const std::int32_t>(row.ids), target}) {
    const auto token = token_without_row(ids, tokenizer_, rows_);
    if (!token || !row.is_usable()) continue;
    row.objection =
        fmt::format("expected tokens that the model has one of its {} rows for, found {}", rows_, *token);
  }
}

EditPrompts PromptBuilder::build(const io::Edit& edit, std::span<const std::string> prefixes,
                                 const std::string& essence_prefix, std::int64_t positions) const {
  EditPrompts prompts{.rewrites = {},
                      .essence = row(essence_prefix, edit, "{} is a", {}, positions),
                      .target = target_ids(edit.target)};
  const bool has_target = !prompts.target.empty();
  const auto behind = std::span(prompts.target).first(has_target ? prompts.target.size() - 1 : 0);
  for (const std::string& prefix : prefixes) {
    prompts.rewrites.push_back(row(prefix, edit, edit.prompt, behind, positions));
    if (!has_target) prompts.rewrites.back().objection = "expected a target of at least one token, found none";
    object_to_tokens_without_row(prompts.rewrites.back(), prompts.target);
  }
  object_to_tokens_without_row(prompts.essence, {});
  return prompts;
}

}  // namespace anchorage::worker
