#include "worker/evaluation/completion.hpp"

#include "io/error.hpp"

namespace anchorage::worker {
namespace {

Completion encoded(const PromptBuilder& prompts, const std::string& prompt, const std::string& answer) {
  return {prompts.prompt_ids(prompt), prompts.target_ids(answer)};
}

}  // namespace

Completion completion_of(const PromptBuilder& prompts, const std::string& prompt, const std::string& answer) {
  try {
    return encoded(prompts, prompt, answer);
  } catch (const io::UserError&) {
    return {};
  }
}

std::optional<std::string> objection_to(const Transformer& model, const PromptBuilder& prompts,
                                        const std::string& prompt, const std::string& answer) {
  try {
    const auto complaint = complaint_about(model, encoded(prompts, prompt, answer));
    if (!complaint) return std::nullopt;
    throw io::UserError(*complaint);
  } catch (const io::UserError& error) {
    return error.what();
  }
}

}  // namespace anchorage::worker
