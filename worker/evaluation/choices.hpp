// Questions with answers to choose from, as a model answers them: by the answers' log-probabilities, and greedily.
#pragma once

#include <cstdint>
#include <optional>
#include <span>
#include <string>
#include <vector>

#include "io/evaluation/choice_questions.hpp"
#include "worker/communicators.hpp"
#include "worker/editing/values/edit_prompts.hpp"
#include "worker/evaluation/classification.hpp"
#include "worker/model/transformer.hpp"

namespace anchorage::worker {

// What a model says to one question. Log-probabilities are natural logarithms, summed over an answer's tokens; that
// of an answer that the model gives no number is minus infinity.
struct ChoiceAnswer {
  std::size_t right = 0;
  std::vector<double> log_probabilities;  // one of each choice; none where the question could not be asked
  std::optional<std::size_t>
      greedy;  // the choice that greedy decoding writes; nothing where it writes another text

  bool is_asked() const { return !log_probabilities.empty(); }
  // The choice of the largest log-probability, the first of equals; nothing where no choice has a number.
  std::optional<std::size_t> likeliest() const;
  // Of two choices: log P(first) - log P(second); 0 where the model gives neither a number.
  double difference() const;
};

struct ChoiceAnswers {
  std::vector<ChoiceAnswer> answers;  // one per question
  std::size_t choices = 0;            // of each question
  std::string rejection;              // why the first that could not be asked cannot be

  std::int64_t asked() const;
  // The share of greedy answers that are a choice at all.
  std::optional<double> decided() const;
  // Of two choices: of log P(first) - log P(second), between questions whose right answer is the first and others.
  std::optional<Estimate> area_under_curve() const;
  std::optional<double> matthews_correlation() const;  // of two choices, by log-probabilities
  // The share of the most frequent right answer: what always giving the same one would reach.
  std::optional<double> chance() const;
};

// Asks the questions. Collective: they are split over the ranks in fixed groups; all get the same result, whatever
// the number of ranks.
ChoiceAnswers ask(const Transformer& model, const PromptBuilder& prompts,
                  std::span<const io::ChoiceQuestion> questions, const Communicators& ranks);

}  // namespace anchorage::worker
