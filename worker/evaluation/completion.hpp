// Prompts and answers as the token ids that a model scores.
#pragma once

#include <optional>
#include <string>

#include "worker/editing/values/edit_prompts.hpp"
#include "worker/evaluation/score.hpp"
#include "worker/model/transformer.hpp"

namespace anchorage::worker {

// Encodes an answer after a prompt, with `prefix` between the two (PromptBuilder::target_ids). Returns no
// tokens for a text that the tokenizer cannot encode: PendingScores::where_possible leaves it out.
Completion completion_of(const PromptBuilder& prompts, const std::string& prompt, const std::string& answer,
                         const std::optional<std::string>& prefix = std::nullopt);

// Says why that answer cannot be scored after that prompt; nothing where it can.
std::optional<std::string> rejection_of(const Transformer& model, const PromptBuilder& prompts,
                                        const std::string& prompt, const std::string& answer,
                                        const std::optional<std::string>& prefix = std::nullopt);

}  // namespace anchorage::worker
