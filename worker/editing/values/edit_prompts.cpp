#include "worker/editing/values/edit_prompts.hpp"

#include <fmt/format.h>

#include <algorithm>
#include <utility>

#include "io/edits/word_boundary.hpp"
#include "io/error.hpp"
#include "worker/model/embedding_rows.hpp"

namespace anchorage::worker {
namespace {

const std::string kl_prompt = "{} is a";

// Whether encoding a text puts a word boundary before it (Llama-2's normalizer, ByteLevel's
// add_prefix_space).
bool begins_words_itself(const io::Tokenizer& tokenizer) {
  const TokenIds ids = tokenizer.encode("a");
  const std::string first = ids.empty() ? "" : tokenizer.token_of(ids.front()).value_or("");
  return first.starts_with("\u2581") || first.starts_with("\u0120");
}

std::size_t characters_in(std::string_view utf8) {
  return static_cast<std::size_t>(
      std::ranges::count_if(utf8, [](char byte) { return (static_cast<unsigned char>(byte) & 0xc0) != 0x80; }));
}

// Returns the last token that stands for this character of the text: earlier ones have only parts of it.
std::optional<std::int64_t> token_at(const io::Encoding& encoding, std::size_t character) {
  for (std::int64_t token = std::ssize(encoding.offsets) - 1; token >= 0; --token) {
    const auto& [begin, end] = encoding.offsets[static_cast<std::size_t>(token)];
    if (begin <= character && character < end) return token;
  }
  return std::nullopt;
}

// Returns the first token with a character from this one on; there is one.
std::int64_t first_token_after(const io::Encoding& encoding, std::size_t character) {
  return std::ranges::find_if(encoding.offsets, [&](const io::TextRange& range) { return range.end > character; }) -
         encoding.offsets.begin();
}

}  // namespace

PromptBuilder::PromptBuilder(const io::Tokenizer& tokenizer, std::int64_t rows)
    : tokenizer_(tokenizer),
      rows_(rows),
      start_(tokenizer.start_ids()),
      begins_words_itself_(begins_words_itself(tokenizer)) {}

PromptBuilder PromptBuilder::with_target_end(const TargetEnd& end) const {
  PromptBuilder other = *this;
  other.end_ = end;
  return other;
}

// Appends the end of text to the ids of a target, where the edit is to have it.
TokenIds PromptBuilder::with_end(TokenIds target, const io::Edit& edit) const {
  if (!end_ || target.empty() || !edit.target_end.value_or(end_->by_default)) return target;
  if (!end_->token) {
    throw io::UserError({.expected = "a model with an end-of-text token, for 'target_end'",
                         .found = "no eos_token_id in its config.json",
                         .where = "edit " + edit.id,
                         .remedy = "leave out 'target_end', or name the token in config.json"});
  }
  target.push_back(*end_->token);
  return target;
}

// Encodes a text, without the tokenizer's start tokens where the text itself begins with them.
io::Encoding PromptBuilder::encode(const std::string& text) const {
  io::Encoding whole = tokenizer_.encode_with_offsets(text, {.add_special_tokens = true});
  const auto after_start = std::span(whole.ids).subspan(start_.size());
  const bool starts_itself = !start_.empty() && after_start.size() >= start_.size() &&
                             std::equal(start_.begin(), start_.end(), after_start.begin());
  return starts_itself ? tokenizer_.encode_with_offsets(text) : whole;
}

TokenIds PromptBuilder::target_ids(const std::string& prompt, const std::string& target,
                                   const std::optional<std::string>& prefix) const {
  const std::string word = target.substr(std::min(target.find_first_not_of(' '), target.size()));
  const std::string between = prefix ? *prefix : std::string(io::typical_target_prefix(prompt, word));
  if (begins_words_itself_ && between == " ") return tokenizer_.encode(word);
  return begins_words_itself_ ? ids_inside_a_text(between + word) : tokenizer_.encode(between + word);
}

// Encodes a text without the word boundary that the tokenizer would put before it: takes the ids after
// another character that shares no token with it.
TokenIds PromptBuilder::ids_inside_a_text(const std::string& text) const {
  for (const std::string other : {"\n", "a", "."}) {
    const io::Encoding whole = tokenizer_.encode_with_offsets(other + text);
    const auto is_after = [](const io::TextRange& range) { return range.begin >= 1; };
    const auto first = std::ranges::find_if(whole.offsets, is_after) - whole.offsets.begin();
    const bool is_apart = std::ranges::all_of(std::span(whole.offsets).first(static_cast<std::size_t>(first)),
                                              [](const io::TextRange& range) { return range.end <= 1; });
    if (is_apart) return {whole.ids.begin() + first, whole.ids.end()};
  }
  return tokenizer_.encode(text);
}

// Builds the row of a prompt, a template, with the tokens `following` it.
PromptRow PromptBuilder::row(const std::string& prompt, const std::string& subject,
                             std::span<const std::int32_t> following, std::int64_t positions) const {
  const std::size_t slot = prompt.find("{}");
  const std::string head = prompt.substr(0, slot) + subject;
  const std::string text = head + prompt.substr(slot + 2);
  PromptRow row;
  io::Encoding encoding;
  try {
    encoding = encode(text);
  } catch (const io::UserError& error) {  // a character that the tokenizer has no token for
    row.rejection = error.what();
    return row;
  }
  const auto subject_last = token_at(encoding, characters_in(head) - 1);
  row.ids = std::move(encoding.ids);
  if (const auto taken = std::ssize(row.ids) + std::ssize(following); taken > positions) {
    row.rejection = fmt::format("expected a prompt that takes at most {} positions with its target, found {}",
                                positions, taken);
    return row;
  }
  if (!subject_last) {
    row.rejection =
        fmt::format("expected a token that stands for the end of the subject in '{}', found none", text);
    return row;
  }
  row.subject_first = first_token_after(encoding, characters_in(prompt.substr(0, slot)));
  row.subject_last = *subject_last;
  row.predicts_from = std::ssize(row.ids) - 1;
  row.ids.insert(row.ids.end(), following.begin(), following.end());
  return row;
}

void PromptBuilder::reject_tokens_without_row(PromptRow& row, std::span<const std::int32_t> target) const {
  for (const auto ids : {std::span<const std::int32_t>(row.ids), target}) {
    const auto token = token_without_row(ids, tokenizer_, rows_);
    if (!token || !row.is_usable()) continue;
    row.rejection =
        fmt::format("expected tokens that the model has one of its {} rows for, found {}", rows_, *token);
  }
}

PromptRow PromptBuilder::prompt_row(const io::Edit& edit, const std::string& prefix, std::int64_t positions) const {
  PromptRow built = row(edit.prompt_in_context(prefix), edit.subject, {}, positions);
  reject_tokens_without_row(built, {});
  return built;
}

PromptRow PromptBuilder::text_row(const std::string& text, std::int64_t positions) const {
  PromptRow built;
  try {
    built.ids = prompt_ids(text);
  } catch (const io::UserError& error) {  // a character that the tokenizer has no token for
    built.rejection = error.what();
    return built;
  }
  built.predicts_from = std::ssize(built.ids) - 1;
  if (built.ids.empty()) {
    built.rejection = fmt::format("expected a text of at least one token, found '{}'", text);
  } else if (std::ssize(built.ids) > positions) {
    built.rejection =
        fmt::format("expected a prompt that takes at most {} positions, found {}", positions, built.ids.size());
  }
  reject_tokens_without_row(built, {});
  return built;
}

EditPrompts PromptBuilder::build(const io::Edit& edit, std::span<const std::string> prefixes,
                                 const std::string& kl_prefix, std::int64_t positions) const {
  EditPrompts prompts{
      .rewrites = {},
      .kl_prompt = row(kl_prefix.empty() ? kl_prompt : kl_prefix + ". " + kl_prompt, edit.subject, {}, positions),
      .target = {},
      .subject = edit.subject};
  std::string rejection = "expected a target of at least one token, found none";
  try {
    prompts.target = with_end(target_ids(edit.model_prompt(), edit.target, edit.target_prefix), edit);
  } catch (const io::UserError& error) {
    rejection = error.what();
  }
  const bool has_target = !prompts.target.empty();
  const auto following = std::span(prompts.target).first(has_target ? prompts.target.size() - 1 : 0);
  for (const std::string& prefix : prefixes) {
    prompts.rewrites.push_back(row(edit.prompt_in_context(prefix), edit.subject, following, positions));
    if (!has_target) prompts.rewrites.back().rejection = rejection;
    reject_tokens_without_row(prompts.rewrites.back(), prompts.target);
  }
  reject_tokens_without_row(prompts.kl_prompt, {});
  return prompts;
}

}  // namespace anchorage::worker
