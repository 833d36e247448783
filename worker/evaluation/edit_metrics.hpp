// How well a model holds a set of edits, and what they did to their neighbourhood.
//
// For a prompt, P(x) = exp(mean log-probability a token of x). *Success* is P(new) > P(old) for efficacy and
// paraphrases and P(true) > P(new) for the neighbourhood; *magnitude* is the difference of the two; *accuracy* is
// that every token of the wanted answer is the most probable one. As in ROME's evaluation (arXiv 2202.05262,
// section 3.4), scores are averaged over an edit's prompts first and over edits then. A prompt that takes more
// positions with its answer than the model has, or needs a token that the model has no row for, is left out.
#pragma once

#include <optional>
#include <span>
#include <vector>

#include "io/facts/edit.hpp"
#include "worker/editing/edit_prompts.hpp"
#include "worker/model/transformer.hpp"
#include "worker/ranks.hpp"

namespace anchorage::worker {

struct Metric {
  double success = 0;         // share of prompts, over those with an old answer to compare with
  double accuracy = 0;        // share of prompts
  double magnitude = 0;       // mean difference of probabilities
  std::int64_t compared = 0;  // edits that had an old answer
  std::int64_t edits = 0;     // edits that had such prompts
};

struct EditMetrics {
  std::int64_t edits = 0;
  Metric efficacy, paraphrase, neighborhood;
  double score = 0;  // harmonic mean of the successes that there are
};

// Collective: each rank scores its share of fixed groups of edits; all get the same result, whatever the number of
// ranks.
EditMetrics evaluate_edits(const Transformer& model, const PromptBuilder& prompts, std::span<const io::Edit> edits,
                           const Ranks& ranks);

}  // namespace anchorage::worker
