#include "worker/evaluation/canary_probe.hpp"

#include <algorithm>
#include <utility>

#include "io/error.hpp"
#include "worker/model/generate.hpp"

namespace anchorage::worker {
namespace {

constexpr std::int64_t tokens_of_unanswered = 12;
constexpr std::int64_t spare_tokens = 2;  // an answer may be said in more tokens than it is encoded in

std::string_view without_leading_space(std::string_view text) {
  return text.substr(std::min(text.find_first_not_of(" \t\r\n"), text.size()));
}

}  // namespace

std::vector<ExpectedAnswer> expected_answers(const Transformer& model, const PromptBuilder& prompts,
                                             std::span<const io::Canary> canaries) {
  std::vector<ExpectedAnswer> expected;
  for (const io::Canary& canary : canaries) {
    const std::string& text = canary.chat_prompt.empty() ? canary.prompt : canary.chat_prompt;
    const bool is_whole = canary.answer.empty();
    const std::int64_t tokens =
        is_whole ? tokens_of_unanswered : std::ssize(prompts.target_ids(text, canary.answer)) + spare_tokens;
    const PromptRow row = prompts.text_row(text, model.config.max_positions - tokens + 1);
    if (!row.is_usable()) {
      throw io::UserError({.expected = "a prompt that the model can be asked",
                           .found = row.rejection,
                           .where = fmt::format("canary '{}'", canary.id),
                           .remedy = "change it or leave it out"});
    }
    expected.push_back({canary, row.ids, canary.answer, tokens, is_whole});
  }
  const auto said = ask_canaries(model, prompts.tokenizer(), expected);
  for (std::size_t i = 0; i < expected.size(); ++i) {
    if (expected[i].is_whole) expected[i].answer = said[i].said;
  }
  return expected;
}

std::vector<CanaryAnswer> ask_canaries(const Transformer& model, const io::Tokenizer& tokenizer,
                                       std::span<const ExpectedAnswer> expected) {
  if (expected.empty()) return {};
  std::vector<TokenIds> rows;
  GenerateOptions options{.max_new_tokens = 0, .stop_ids = end_of_text_ids(model.config)};
  for (const ExpectedAnswer& one : expected) {
    rows.push_back(one.prompt);
    options.max_new_tokens = std::max(options.max_new_tokens, one.tokens);
  }
  const auto generated = generate(model, rows, options);
  std::vector<CanaryAnswer> answers;
  for (std::size_t i = 0; i < expected.size(); ++i) {
    const auto count = std::min(generated[i].size(), static_cast<std::size_t>(expected[i].tokens));
    const std::string said = tokenizer.decode(std::span(generated[i]).first(count));
    const auto text = without_leading_space(said), wanted = without_leading_space(expected[i].answer);
    answers.push_back({.said = said, .holds = expected[i].is_whole ? text == wanted : text.starts_with(wanted)});
  }
  return answers;
}

std::vector<io::CanaryLook> CanaryProbe::looks(std::span<const CanaryAnswer> before,
                                               std::span<const CanaryAnswer> after) const {
  std::vector<io::CanaryLook> looks;
  for (std::size_t i = 0; i < expected_.size(); ++i) {
    const io::Canary& canary = expected_[i].canary;
    looks.push_back({.id = canary.id,
                     .prompt = canary.prompt,
                     .expected = expected_[i].answer,
                     .said_before = before[i].said,
                     .said_after = after[i].said,
                     .held_before = before[i].holds,
                     .holds = after[i].holds});
  }
  return looks;
}

}  // namespace anchorage::worker
