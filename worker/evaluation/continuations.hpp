// What a model writes after many prompts.
#pragma once

#include <cstdint>
#include <functional>
#include <optional>
#include <span>
#include <string>
#include <vector>

#include "worker/communicators.hpp"
#include "worker/editing/values/edit_prompts.hpp"
#include "worker/model/transformer.hpp"

namespace anchorage::worker {

struct ContinuationOptions {
  std::int64_t max_new_tokens = 32;
  // Whether a text needs nothing more, the same on all ranks; empty: it always may.
  std::function<bool(const std::string& text)> is_complete = {};
};

struct Continuation {
  std::string text;
  bool has_ended = false;  // by an end-of-text token or as complete, not by the limit on tokens or positions
};

// Says why a prompt cannot be continued: it cannot be encoded, has no token, needs one that the model has no row
// for, or takes more positions than the model has. Nothing where it can.
std::optional<std::string> continuation_obstacle(const Transformer& model, const PromptBuilder& prompts,
                                                 const std::string& prompt);

// Continues each prompt greedily, up to an end-of-text token of the model's config; nothing where that is not
// possible. A continuation depends on no other prompt: one that has fewer positions left than tokens are asked for
// is made alone. Collective: prompts are split over the ranks in fixed groups; all get the same result, whatever
// the number of ranks.
std::vector<std::optional<Continuation>> continue_greedily(const Transformer& model, const PromptBuilder& prompts,
                                                           std::span<const std::string> texts,
                                                           const ContinuationOptions& options,
                                                           const Communicators& ranks);

}  // namespace anchorage::worker
