// Questions without choices that a model answers: facts that it may know, the last words of LAMBADA's
// passages.
#pragma once

#include <algorithm>
#include <cstdint>
#include <optional>
#include <span>
#include <string>
#include <vector>

#include "worker/communicators.hpp"
#include "worker/editing/values/edit_prompts.hpp"
#include "worker/model/transformer.hpp"

namespace anchorage::worker {

struct OpenQuestion {
  std::string prompt;
  std::string answer;
  std::optional<std::string> prefix{};  // between the two; none: io::typical_target_prefix
};

struct OpenAnswers {
  std::vector<bool> answered;  // one per question: every token of the answer is the most probable one
  std::vector<bool> left_out;  // one per question: it cannot be scored
  std::string rejection;       // why the first that is left out cannot be scored
  std::optional<double> nll;   // mean over those asked of -log P(whole answer), natural logarithm

  std::int64_t asked() const { return std::ranges::count(left_out, false); }
};

// Asks the questions. Collective: they are split over the ranks in fixed groups; all get the same result,
// whatever the number of ranks.
OpenAnswers ask(const Transformer& model, const PromptBuilder& prompts, std::span<const OpenQuestion> questions,
                const Communicators& ranks);

}  // namespace anchorage::worker
