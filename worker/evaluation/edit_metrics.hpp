// Measures how well a model holds a set of edits, and what they did to their neighborhood.
//
// For a prompt, P(x) = exp(mean log-probability per token of x). *Success* is P(new) > P(old) for efficacy
// and paraphrases and P(true) > P(new) for the neighborhood; *magnitude* is the difference of the two;
// *accuracy* is that every token of the wanted answer is the most probable one. As in ROME's evaluation
// (arXiv 2202.05262, section 3.4), scores are averaged over an edit's prompts first and over edits then. A
// prompt that cannot be scored with each of its answers is left out: it takes more positions than the model
// has, needs a token that the model has no row for, or cannot be encoded. Intervals are bootstraps over edits
// (bootstrap.hpp), over those that have the figure.
#pragma once

#include <cstdint>
#include <optional>
#include <span>
#include <string>
#include <vector>

#include "io/edits/edit.hpp"
#include "worker/communicators.hpp"
#include "worker/editing/values/edit_prompts.hpp"
#include "worker/evaluation/bootstrap.hpp"
#include "worker/model/transformer.hpp"

namespace anchorage::worker {

// One metric; a figure that was not measured has no value.
struct Metric {
  std::optional<double> success;    // share of the prompts that have an old answer to compare with
  std::optional<double> accuracy;   // share of prompts
  std::optional<double> magnitude;  // mean difference of probabilities
  std::int64_t compared = 0;        // edits with an old answer
  std::int64_t edits = 0;           // edits with such prompts
  std::int64_t left_out = 0;        // prompts
  std::optional<Interval> success_interval{}, accuracy_interval{}, magnitude_interval{};
};

struct LeftOutPrompt {
  std::string edit;    // its id
  std::string reason;  // why it cannot be scored
};

struct EditMetrics {
  std::int64_t edits = 0;
  Metric efficacy, paraphrase, neighborhood;
  Metric portability;                             // what follows from the edit: no success and no magnitude
  std::optional<double> score{};                  // harmonic mean of the successes that were measured
  std::optional<Interval> score_interval{};       // of samples of edits in which all of these have a value
  std::vector<std::string> score_of{};            // names of these successes
  std::optional<LeftOutPrompt> first_left_out{};  // first in the order of edits
};

// Evaluates the edits. Collective: each rank scores its share of fixed groups of edits; all get the same
// result, whatever the number of ranks.
EditMetrics evaluate_edits(const Transformer& model, const PromptBuilder& prompts, std::span<const io::Edit> edits,
                           const Communicators& ranks);

}  // namespace anchorage::worker
