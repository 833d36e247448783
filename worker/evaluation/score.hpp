// Computes log-probabilities of completions after prompts.
#pragma once

#include <memory>
#include <optional>
#include <span>
#include <string>
#include <vector>

#include "io/error.hpp"
#include "io/tokenizer/tokenizer.hpp"
#include "worker/model/forward.hpp"
#include "worker/model/token_layout.hpp"
#include "worker/model/transformer.hpp"

namespace anchorage::worker {

struct Completion {
  TokenIds prompt;
  TokenIds completion;
};

// Says why a completion cannot be scored; nothing where it can.
std::optional<io::Diagnostic> scoring_obstacle(const Transformer& model, const Completion& completion);

struct CompletionScore {
  std::vector<float> log_probabilities;  // natural logarithms, one per completion token
  std::vector<bool> argmax;              // whether that token is the most probable one

  bool is_scored() const { return !log_probabilities.empty(); }
  double mean_nll() const;  // -mean of the log-probabilities; NaN without tokens
  bool all_argmax() const;  // false without tokens
};

// Throws io::UserError that names `where` and what is wrong: a prompt or a completion without tokens, a token
// that the model has no row for, or more tokens than it has positions for.
void require_scorable(const Transformer& model, const io::Tokenizer& tokenizer, const Completion& completion,
                      const std::string& where);

// A pass that this stage has run, whose scores not all stages know yet. With several passes in flight, stages
// work on different ones at the same time.
class PendingScores {
 public:
  // Runs all completions as the rows of one pass, those that differ in their last token alone as one row, through
  // the layers below the stages' second pass (Stages::second_pass), through all where there is none. Collective
  // over the model's stages. Throws io::UserError where one cannot be scored (require_scorable). Borrows the model.
  PendingScores(const Transformer& model, std::span<const Completion> completions);

  // Runs the completions that can be scored; the score of any other has no tokens. Collective over the
  // model's stages.
  static PendingScores where_possible(const Transformer& model, std::span<const Completion> completions);

  // Runs the other layers, for several passes one after another. Collective over the stages.
  void finish();

  // Returns the scores in the order of completions, on every stage; finishes a pass that is not. Collective over
  // the stages, in the order of the passes.
  std::vector<CompletionScore> take();

 private:
  const Transformer& model_;
  std::unique_ptr<const ForwardPass> pass_;         // until it is finished
  torch::Tensor hidden_;                            // [tokens, d]: before the layers that are left
  std::vector<std::int64_t> predicting_, targets_;  // packed tokens that predict, and what
  std::vector<std::size_t> lengths_;                // tokens of each completion; zero where it is not scored
  torch::Tensor chosen_, best_;                     // [predicted] f32 and bool, on the last stage
};

// Runs one pass and returns its scores.
std::vector<CompletionScore> score_completions(const Transformer& model, std::span<const Completion> completions);

}  // namespace anchorage::worker
