// What a model says by itself after the prompts of edits, token by token. The measure under which editors
// differ most (arXiv 2502.11177), since nothing of the answer is given to the model and it has to come to an end.
//
// A text ends before an end-of-text token of the model's config, and counts up to the first '.' or line feed after
// some text.
#pragma once

#include <cstdint>
#include <optional>
#include <span>
#include <string>
#include <vector>

#include "io/edits/edit.hpp"
#include "worker/communicators.hpp"
#include "worker/editing/values/edit_prompts.hpp"
#include "worker/evaluation/edit_metrics.hpp"
#include "worker/model/transformer.hpp"

namespace anchorage::worker {

inline constexpr std::int64_t most_new_tokens = 512;

struct GeneratedText {
  std::string text{};            // what counts of it
  bool naturally_ended = false;  // by a stop mark or an end-of-text token, not by the limit on tokens or positions

  bool operator==(const GeneratedText&) const = default;
};

// Nothing for a prompt that is left out: it cannot be encoded, has no token, needs one that the model has no row
// for, or takes more positions than the model has.
using OptionalText = std::optional<GeneratedText>;

// What was generated after the prompts of one edit, in their order.
struct TextsOfEdit {
  OptionalText prompt{};
  std::vector<OptionalText> paraphrases{}, neighborhood{}, portability{};

  bool operator==(const TextsOfEdit&) const = default;
};

struct EditGenerations {
  std::vector<TextsOfEdit> texts{};  // one per edit
  std::int64_t max_new_tokens = 0;
  std::optional<LeftOutPrompt> first_left_out{};  // first in the order of edits
};

// Continues every prompt of the edits greedily by `max_new_tokens` tokens, from 1 to most_new_tokens
// (continuations.hpp). Collective: prompts are split over the ranks in fixed groups; all get the same result,
// whatever the number of ranks.
EditGenerations generate_for_edits(const Transformer& model, const PromptBuilder& prompts,
                                   std::span<const io::Edit> edits, std::int64_t max_new_tokens,
                                   const Communicators& ranks);

// Returns the SHA-256 of all prompts of the edits as the model is given them: equal reports asked the same.
std::string digest_of_prompts(std::span<const io::Edit> edits);

}  // namespace anchorage::worker
