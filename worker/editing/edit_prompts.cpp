#include "worker/editing/edit_prompts.hpp"

#include "io/error.hpp"

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
// end.
std::int64_t PromptBuilder::token_at(const TokenIds& ids, const std::string& text, std::size_t byte_end) const {
  for (std::size_t count = 1; count <= ids.size(); ++count) {
    const std::string decoded = tokenizer_.decode(std::span(ids).first(count), {.skip_special_tokens = true});
    if (decoded.size() >= byte_end && text.starts_with(decoded)) return static_cast<std::int64_t>(count) - 1;
  }
  throw io::InternalError(fmt::format("the tokens of '{}' do not decode to it", text));
}

PromptRow PromptBuilder::row(const std::string& prefix, const io::Edit& edit, const std::string& prompt) const {
  const std::size_t slot = prompt.find("{}");
  const std::string head = (prefix.empty() ? "" : prefix + ". ") + prompt.substr(0, slot) + edit.subject;
  const std::string text = head + prompt.substr(slot + 2);
  PromptRow row{.ids = prompt_ids(text)};
  row.subject_last = token_at(row.ids, text, head.size());
  row.predicts_from = static_cast<std::int64_t>(row.ids.size()) - 1;
  return row;
}

EditPrompts PromptBuilder::build(const io::Edit& edit, std::span<const std::string> prefixes,
                                 const std::string& essence_prefix) const {
  EditPrompts prompts{
      .rewrites = {}, .essence = row(essence_prefix, edit, "{} is a"), .target = target_ids(edit.target)};
  for (const std::string& prefix : prefixes) {
    PromptRow rewrite = row(prefix, edit, edit.prompt);
    rewrite.ids.insert(rewrite.ids.end(), prompts.target.begin(), prompts.target.end() - 1);
    prompts.rewrites.push_back(std::move(rewrite));
  }
  return prompts;
}

}  // namespace anchorage::worker
