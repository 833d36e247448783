// Builds the token rows of one edit: its rewriting prompts after each context prefix, and the prompt of the
// KL term.
#pragma once

#include <cstdint>
#include <limits>
#include <optional>
#include <span>
#include <string>
#include <vector>

#include "io/edits/edit.hpp"
#include "io/tokenizer/tokenizer.hpp"
#include "worker/model/token_layout.hpp"

namespace anchorage::worker {

// One row and the places in it that editing and tracing need.
struct PromptRow {
  TokenIds ids;
  std::int64_t subject_last = 0;   // position of the subject's last token
  std::int64_t predicts_from = 0;  // position whose next token is the first one predicted
  std::string rejection{};         // why the row cannot be used; its positions are unknown then
  std::int64_t subject_first = 0;  // position of the subject's first token, which may begin before the subject

  bool is_usable() const { return rejection.empty(); }
};

struct EditPrompts {
  // One per context: prompt and target (without its last token, which predicts nothing).
  std::vector<PromptRow> rewrites;
  PromptRow kl_prompt;  // "{subject} is a": its next-token distribution should stay
  TokenIds target;
  std::string subject{};  // edits with the same one share a value (shared_values.hpp); empty: with none
};

// The end of text that targets may have.
struct TargetEnd {
  std::optional<std::int32_t> token{};  // none: the model has no end of text
  bool by_default = false;              // of edits that do not say (io::Edit::target_end)
};

// Puts prefixes before the prompt as "<prefix>. <prompt>"; the empty prefix stands for the bare prompt.
// Appends target ids to the prompt's ids, rather than encoding the joined text.
class PromptBuilder {
 public:
  // `rows` counts those of the model's embedding. Borrows the tokenizer.
  explicit PromptBuilder(const io::Tokenizer& tokenizer,
                         std::int64_t rows = std::numeric_limits<std::int64_t>::max());

  // Returns a builder whose targets end so. One that is made without this has the bare targets of all edits, as
  // evaluation has.
  PromptBuilder with_target_end(const TargetEnd& end) const;

  // Builds one rewriting prompt for each of `prefixes`, in order, and the KL prompt after `kl_prefix`.
  // Rejects a row that takes more than `positions`, in which no token stands for the subject's last
  // character, or that needs a token without a row; all rows of an edit that needs an end of text where there is
  // none.
  EditPrompts build(const io::Edit& edit, std::span<const std::string> prefixes, const std::string& kl_prefix = "",
                    std::int64_t positions = std::numeric_limits<std::int64_t>::max()) const;

  // Builds the row of an edit's prompt alone, without its target, after `prefix`. Rejects it as `build` does.
  PromptRow prompt_row(const io::Edit& edit, const std::string& prefix, std::int64_t positions) const;

  // Builds the row of a text without a subject, whose positions are then those of no subject. Rejects what takes
  // more than `positions`, has no token, or needs one that has no row.
  PromptRow text_row(const std::string& text, std::int64_t positions) const;

  // Returns a prompt's ids as the model expects them: with the tokenizer's own special tokens (a start token
  // where it has one and the text does not begin with it).
  TokenIds prompt_ids(const std::string& text) const { return encode(text).ids; }

  // Returns the ids of a target after a prompt and `prefix`; without a prefix, after
  // io::typical_target_prefix.
  TokenIds target_ids(const std::string& prompt, const std::string& target,
                      const std::optional<std::string>& prefix = std::nullopt) const;

  const io::Tokenizer& tokenizer() const { return tokenizer_; }

 private:
  PromptRow row(const std::string& prompt, const std::string& subject, std::span<const std::int32_t> following,
                std::int64_t positions) const;
  io::Encoding encode(const std::string& text) const;
  TokenIds ids_inside_a_text(const std::string& text) const;

  TokenIds with_end(TokenIds target, const io::Edit& edit) const;
  void reject_tokens_without_row(PromptRow& row, std::span<const std::int32_t> target) const;

  const io::Tokenizer& tokenizer_;
  std::int64_t rows_;
  std::optional<TargetEnd> end_;
  TokenIds start_;            // the ids that the tokenizer puts before a text
  bool begins_words_itself_;  // encoding a text puts a word boundary before it; another space would make two
};

}  // namespace anchorage::worker
