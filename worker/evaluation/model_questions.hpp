// What may be asked of a model between two batches: continuations of prompts, log-probabilities of completions.
#pragma once

#include "sharding/protocol/command.hpp"
#include "worker/communicators.hpp"
#include "worker/editing/values/edit_prompts.hpp"
#include "worker/model/transformer.hpp"

namespace anchorage::worker {

class ModelQuestions {
 public:
  // Borrows all.
  ModelQuestions(const Transformer& model, const PromptBuilder& prompts, const Communicators& ranks)
      : model_(model), prompts_(prompts), ranks_(ranks) {}

  // Continues greedily, as the model is now, up to an end-of-text token; `base` stays empty. Collective; all ranks
  // get the same.
  sharding::PromptsContinued continued(const sharding::ContinuePrompts& question) const;

  // Scores completions as rows of passes of a few; a completion is taken as it stands. Collective over the stages
  // of each replica; all ranks get the same.
  sharding::TextsScored scored(const sharding::ScoreTexts& question) const;

 private:
  const Transformer& model_;
  const PromptBuilder& prompts_;
  Communicators ranks_;
};

}  // namespace anchorage::worker
