// What a model is asked: an answer after a prompt, as token ids.
#pragma once

#include <optional>
#include <string>

#include "worker/editing/values/edit_prompts.hpp"
#include "worker/evaluation/score.hpp"
#include "worker/model/transformer.hpp"

namespace anchorage::worker {

// `prefix` stands between the two (PromptBuilder::target_ids). Of a text that the tokenizer cannot encode without
// tokens: PendingScores::where_possible leaves it out.
Completion completion_of(const PromptBuilder& prompts, const std::string& prompt, const std::string& answer,
                         const std::optional<std::string>& prefix = std::nullopt);

// Why that answer cannot be scored after that prompt; nothing where it can.
std::optional<std::string> rejection_of(const Transformer& model, const PromptBuilder& prompts,
                                        const std::string& prompt, const std::string& answer,
                                        const std::optional<std::string>& prefix = std::nullopt);

}  // namespace anchorage::worker
