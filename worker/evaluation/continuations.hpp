// What a model writes after many prompts.
#pragma once

#include <cstdint>
#include <optional>
#include <span>
#include <string>
#include <vector>

#include "worker/communicators.hpp"
#include "worker/editing/values/edit_prompts.hpp"
#include "worker/model/transformer.hpp"

namespace anchorage::worker {

struct Continuation {
  std::string text;
  bool has_ended = false;  // by an end of text that the model wrote
};

// Says why a prompt cannot be continued by `max_new_tokens`: it cannot be encoded, has no token, needs a token that
// the model has no row for, or takes more positions with them than the model has. Nothing where it can.
std::optional<std::string> continuation_obstacle(const Transformer& model, const PromptBuilder& prompts,
                                                 const std::string& prompt, std::int64_t max_new_tokens);

// Continues each prompt greedily, up to the end of text; nothing where that is not possible. A continuation depends
// on no other prompt. Collective: prompts are split over the ranks in fixed groups; all get the same result,
// whatever the number of ranks.
std::vector<std::optional<Continuation>> continue_greedily(const Transformer& model, const PromptBuilder& prompts,
                                                           std::span<const std::string> texts,
                                                           std::int64_t max_new_tokens, const Communicators& ranks);

}  // namespace anchorage::worker
