// Tasks whose answers a model writes in its own words: summaries, open-domain questions.
#pragma once

#include <cstdint>
#include <optional>
#include <span>
#include <string>
#include <vector>

#include "io/evaluation/generation_questions.hpp"
#include "worker/communicators.hpp"
#include "worker/editing/values/edit_prompts.hpp"
#include "worker/model/transformer.hpp"

namespace anchorage::worker {

struct GenerationTask {
  std::vector<io::GenerationQuestion> questions;
  std::int64_t max_new_tokens = 0;
  bool first_line_only = false;       // the answer ends at its first line's end
  std::vector<std::string> measures;  // names of what a text is measured by
  // Returns one value, from 0 to 1, of each measure.
  std::vector<double> (*measured)(const std::string& text, std::span<const std::string> accepted);
};

// ROUGE-1, -2 and -L against each reference, of which the best mean counts, and that mean, as in EAC (arXiv
// 2503.00035); 25 new tokens.
GenerationTask summarization(std::vector<io::GenerationQuestion> questions);
// Exact match of the first line and whether it contains an accepted answer (io/evaluation/answer_match.hpp); 20 new
// tokens.
GenerationTask open_qa(std::vector<io::GenerationQuestion> questions);

struct GeneratedAnswers {
  std::vector<std::optional<std::string>> texts;  // one per question; nothing where it could not be asked
  std::string rejection;                          // why the first that could not be asked cannot be
  struct Measured {
    std::string name;
    std::vector<double> values;  // of those asked
  };
  std::vector<Measured> measured;  // in the order of the task's measures
};

// Generates greedily. Collective: the questions are split over the ranks in fixed groups; all get the same result,
// whatever the number of ranks.
GeneratedAnswers ask(const Transformer& model, const PromptBuilder& prompts, const GenerationTask& task,
                     const Communicators& ranks);

}  // namespace anchorage::worker
