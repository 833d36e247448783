// The held-out loss that the guard watches: a model's loss on a few sentences of general knowledge that no edit is
// about. Small, so that it can be measured after every batch.
#pragma once

#include <vector>

#include "worker/communicators.hpp"
#include "worker/editing/values/edit_prompts.hpp"
#include "worker/model/token_layout.hpp"
#include "worker/model/transformer.hpp"

namespace anchorage::worker {

// Returns the ids of these sentences, each cut to so many positions.
std::vector<TokenIds> general_sentences(const PromptBuilder& prompts, std::int64_t positions);

class LossProbe {
 public:
  // Borrows the model and the communicators.
  LossProbe(const Transformer& model, const PromptBuilder& prompts, const Communicators& ranks);

  // Returns nats per token on the current weights; io::not_measured where no sentence can be scored.
  // Collective; the result is the same on all ranks and for any number of them.
  double loss() const;

 private:
  const Transformer& model_;
  Communicators communicators_;
  std::vector<TokenIds> sentences_;
};

}  // namespace anchorage::worker
