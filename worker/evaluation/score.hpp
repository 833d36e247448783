// Log-probabilities of completions behind prompts.
#pragma once

#include <span>
#include <vector>

#include "worker/model/token_layout.hpp"
#include "worker/model/transformer.hpp"

namespace anchorage::worker {

struct Completion {
  TokenIds prompt;
  TokenIds completion;
};

struct CompletionScore {
  std::vector<float> log_probabilities;  // natural logarithms, one a completion token
  std::vector<bool> argmax;              // whether that token was the most probable one

  double mean_nll() const;  // -mean of the log-probabilities
  bool all_argmax() const;
};

// Scores all completions as the rows of one pass. Not collective. Throws io::UserError for an empty prompt or
// completion and for a row longer than the model's positions.
std::vector<CompletionScore> score_completions(const Transformer& model, std::span<const Completion> completions);

}  // namespace anchorage::worker
