// What a model answers by itself: facts that it may know, the last words of LAMBADA's passages.
#pragma once

#include <span>
#include <string>
#include <vector>

#include "worker/editing/edit_prompts.hpp"
#include "worker/model/transformer.hpp"
#include "worker/ranks.hpp"

namespace anchorage::worker {

struct OpenQuestion {
  std::string prompt;
  std::string answer;
};

struct OpenAnswers {
  std::vector<bool> answered;  // one a question: every token of the answer is the most probable one
  double nll = 0;              // mean over the questions of -log P(whole answer), natural logarithm
};

// Collective: questions are split over the ranks in fixed groups; all get the same result, whatever their number.
// Throws io::UserError that names the question where one is too long for the model or needs a token without a row.
OpenAnswers ask(const Transformer& model, const PromptBuilder& prompts, std::span<const OpenQuestion> questions,
                const Ranks& ranks);

}  // namespace anchorage::worker
