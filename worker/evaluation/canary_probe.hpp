// What a model says to canaries (io/edits/canaries.hpp), asked before and after every batch, or before an export.
#pragma once

#include <cstdint>
#include <span>
#include <string>
#include <vector>

#include "io/edits/canaries.hpp"
#include "worker/editing/values/edit_prompts.hpp"
#include "worker/model/transformer.hpp"

namespace anchorage::worker {

// A canary with what is expected of it.
struct ExpectedAnswer {
  io::Canary canary;
  TokenIds prompt;
  std::string answer;       // text; of a canary without one, what the unedited model says
  std::int64_t tokens = 0;  // to be generated
  bool is_whole = false;    // the text is all that is said, and not only what it begins with
};

// Completes canaries by what the model, unedited, says now: greedily, 12 tokens where a canary has no answer of its
// own. Throws io::UserError for a prompt that the model cannot be asked. Collective over the model's stages.
std::vector<ExpectedAnswer> expected_answers(const Transformer& model, const PromptBuilder& prompts,
                                             std::span<const io::Canary> canaries);

struct CanaryAnswer {
  std::string said;
  bool holds = false;
};

// Asks the model as it is now, all canaries as rows of one pass. White space before an answer does not count.
// Collective over the model's stages, of which all get the answers.
std::vector<CanaryAnswer> ask_canaries(const Transformer& model, const io::Tokenizer& tokenizer,
                                       std::span<const ExpectedAnswer> expected);

// The canaries of an edit run.
class CanaryProbe {
 public:
  // Of the unedited model; borrows it and the prompts' tokenizer. Collective over the stages.
  CanaryProbe(const Transformer& model, const PromptBuilder& prompts, std::span<const io::Canary> canaries)
      : model_(model), tokenizer_(prompts.tokenizer()), expected_(expected_answers(model, prompts, canaries)) {}

  std::vector<CanaryAnswer> ask() const { return ask_canaries(model_, tokenizer_, expected_); }
  std::vector<io::CanaryLook> looks(std::span<const CanaryAnswer> before,
                                    std::span<const CanaryAnswer> after) const;

 private:
  const Transformer& model_;
  const io::Tokenizer& tokenizer_;
  std::vector<ExpectedAnswer> expected_;
};

}  // namespace anchorage::worker
