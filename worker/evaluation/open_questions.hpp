// What a model answers by itself: facts that it may know, the last words of LAMBADA's passages.
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
  std::optional<std::string> prefix{};  // between the two; not given: io::typical_target_prefix
};

struct OpenAnswers {
  std::vector<bool> answered;  // one a question: every token of the answer is the most probable one
  std::vector<bool> left_out;  // one a question: it takes more positions than the model has or cannot be encoded
  std::string rejection;       // to the first that is left out
  std::optional<double> nll;   // mean over those asked of -log P(whole answer), natural logarithm

  std::int64_t asked() const { return std::ranges::count(left_out, false); }
  // Share of those asked that are answered; nothing where none was.
  std::optional<double> accuracy() const;
};

// Collective: questions are split over the ranks in fixed groups; all get the same result, whatever their number.
OpenAnswers ask(const Transformer& model, const PromptBuilder& prompts, std::span<const OpenQuestion> questions,
                const Communicators& ranks);

}  // namespace anchorage::worker
