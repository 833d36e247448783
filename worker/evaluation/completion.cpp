#include "worker/evaluation/completion.hpp"

#include "io/error.hpp"

namespace anchorage::worker {
namespace {

Completion encoded(const PromptBuilder& prompts, const std::string& prompt, const std::string& answer,
                   const std::optional<std::string>& prefix) {
  return {prompts.prompt_ids(prompt), prompts.target_ids(prompt, answer, prefix)};
}

}  // namespace

Completion completion_of(const PromptBuilder& prompts, const std::string& prompt, const std::string& answer,
                         const std::optional<std::string>& prefix) {
  try {
    return encoded(prompts, prompt, answer, prefix);
  } catch (const io::UserError&) {
    return {};
  }
}

std::optional<std::string> rejection_of(const Transformer& model, const PromptBuilder& prompts,
                                        const std::string& prompt, const std::string& answer,
                                        const std::optional<std::string>& prefix) {
  try {
    require_scorable(model, prompts.tokenizer(), encoded(prompts, prompt, answer, prefix), "");
    return std::nullopt;
  } catch (const io::UserError& error) {
    return error.what();
  }
}

}  // namespace anchorage::worker
