#include "worker/evaluation/open_questions.hpp"

#include <fmt/format.h>

#include <algorithm>

#include "worker/evaluation/score.hpp"

namespace anchorage::worker {
namespace {

constexpr std::int64_t questions_a_pass = 16;  // the unit of work: independent of the number of ranks

// All of them, before any is asked: throws io::UserError that names the question that the model cannot be asked.
std::vector<Completion> completions_of(const Transformer& model, const PromptBuilder& prompts,
                                       std::span<const OpenQuestion> questions) {
  std::vector<Completion> completions;
  for (const OpenQuestion& question : questions) {
    completions.push_back({prompts.prompt_ids(question.prompt), prompts.target_ids(question.answer)});
    const std::string where = fmt::format("question {}, '{:.80}' with the answer '{:.80}'", completions.size(),
                                          question.prompt, question.answer);
    require_scorable(model, prompts.tokenizer(), completions.back(), where);
  }
  return completions;
}

// [questions, 2] f64: whether each is answered, and its nll.
torch::Tensor ask_at_once(const Transformer& model, std::span<const Completion> completions) {
  std::vector<double> rows;
  for (const CompletionScore& score : score_completions(model, completions)) {
    rows.push_back(score.all_argmax() ? 1 : 0);
    rows.push_back(score.mean_nll() * static_cast<double>(score.log_probabilities.size()));
  }
  return torch::tensor(rows, torch::kDouble).view({-1, 2});
}

}  // namespace

OpenAnswers ask(const Transformer& model, const PromptBuilder& prompts, std::span<const OpenQuestion> questions,
                const Ranks& ranks) {
  const auto completions = completions_of(model, prompts, questions);
  std::vector<torch::Tensor> own = {torch::empty({0, 2}, torch::kDouble)};
  for (const auto& group : own_groups(ranks, std::ssize(questions), questions_a_pass)) {
    own.push_back(ask_at_once(model, part_of(std::span<const Completion>(completions), group)));
  }
  const auto rows = ranks.device.all_gather(at::cat(own).to(model.device()), "gather answers").cpu();
  OpenAnswers answers;
  const auto row = rows.accessor<double, 2>();
  for (std::int64_t i = 0; i < rows.size(0); ++i) {
    answers.answered.push_back(row[i][0] != 0);
    answers.nll += row[i][1];
  }
  answers.nll /= static_cast<double>(std::max<std::int64_t>(1, rows.size(0)));
  return answers;
}

}  // namespace anchorage::worker
