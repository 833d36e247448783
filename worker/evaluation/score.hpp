// Log-probabilities of completions after prompts.
#pragma once

#include <optional>
#include <span>
#include <string>
#include <vector>

#include "io/error.hpp"
#include "io/tokenizer/tokenizer.hpp"
#include "worker/model/token_layout.hpp"
#include "worker/model/transformer.hpp"

namespace anchorage::worker {

struct Completion {
  TokenIds prompt;
  TokenIds completion;
};

// Why a completion cannot be scored; nothing where it can.
std::optional<io::Diagnostic> complaint_about(const Transformer& model, const Completion& completion);

struct CompletionScore {
  std::vector<float> log_probabilities;  // natural logarithms, one a completion token
  std::vector<bool> argmax;              // whether that token was the most probable one

  bool is_scored() const { return !log_probabilities.empty(); }
  double mean_nll() const;  // -mean of the log-probabilities; of no tokens not a number
  bool all_argmax() const;  // of no tokens false
};

// Throws io::UserError that names `where` and what is wrong: a prompt or a completion without tokens, one for whose
// tokens the model has no row, or more of both than it has positions for.
void require_scorable(const Transformer& model, const io::Tokenizer& tokenizer, const Completion& completion,
                      const std::string& where);

// A pass that this stage has run, whose scores are not yet known to all. With several in flight, stages work on
// different ones at the same time.
class PendingScores {
 public:
  // Runs all completions as the rows of one pass. Collective over the model's stages. Throws io::UserError where
  // one cannot be scored (require_scorable). Borrows the model.
  PendingScores(const Transformer& model, std::span<const Completion> completions);

  // Runs those that would not throw; the score of another one has no tokens. Collective likewise.
  static PendingScores where_possible(const Transformer& model, std::span<const Completion> completions);

  // In the order of completions, on every stage. Collective over the stages, in the order of the passes.
  std::vector<CompletionScore> take() const;

 private:
  const Transformer& model_;
  std::vector<std::size_t> lengths_;  // of the completions; zero where one is not scored
  torch::Tensor chosen_, best_;       // [predicted] f32 and bool, on the last stage
};

// One pass and its scores.
std::vector<CompletionScore> score_completions(const Transformer& model, std::span<const Completion> completions);

}  // namespace anchorage::worker
