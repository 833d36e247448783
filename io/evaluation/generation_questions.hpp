// Questions that a model answers in its own words.
#pragma once

#include <filesystem>
#include <string>
#include <vector>

namespace anchorage::io {

struct GenerationQuestion {
  std::string prompt;
  std::vector<std::string> accepted;  // one or more

  bool operator==(const GenerationQuestion&) const = default;
};

// Throw UserError on the first record that lacks what they read.

// Texts to summarize: `dialogue` and `summary` as in SAMSum (arXiv 1911.12237), or `document` and `summary`, or
// ACLSum's own records (arXiv 2403.05303), of which the abstract is to be summarized and each of the three
// summaries is accepted. Prompt as in EAC (arXiv 2503.00035): the text, a line break and "TL;DR:".
std::vector<GenerationQuestion> read_summaries(const std::filesystem::path& path);

// Open-domain questions, closed book, of NQ-open (arXiv 1906.00300) or TriviaQA: `question`, and `answer` or
// `answers`, a text or a list of those that are right. Prompt "Please answer the question:\n\nQ: ...\nA:".
std::vector<GenerationQuestion> read_open_qa(const std::filesystem::path& path);

}  // namespace anchorage::io
