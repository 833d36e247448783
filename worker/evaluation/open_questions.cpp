#include "worker/evaluation/open_questions.hpp"

#include <algorithm>

#include "worker/evaluation/completion.hpp"
#include "worker/evaluation/gathered_rows.hpp"

namespace anchorage::worker {
namespace {

constexpr std::int64_t questions_per_pass = 16;  // the unit of work: independent of the number of ranks

constexpr std::int64_t fields = 3;

// Returns [questions, fields] f64: whether each could be asked, whether it is answered, and its nll.
torch::Tensor ask_at_once(const Transformer& model, const PromptBuilder& prompts,
                          std::span<const OpenQuestion> questions) {
  std::vector<Completion> completions;
  for (const OpenQuestion& question : questions)
    completions.push_back(completion_of(prompts, question.prompt, question.answer, question.prefix));
  std::vector<double> rows;
  for (const CompletionScore& score : PendingScores::where_possible(model, completions).take()) {
    rows.push_back(score.is_scored() ? 1 : 0);
    rows.push_back(score.all_argmax() ? 1 : 0);
    rows.push_back(score.mean_nll() * static_cast<double>(score.log_probabilities.size()));
  }
  return torch::tensor(rows, torch::kDouble).view({-1, fields});
}

}  // namespace

OpenAnswers ask(const Transformer& model, const PromptBuilder& prompts, std::span<const OpenQuestion> questions,
                const Communicators& ranks) {
  std::vector<torch::Tensor> own = {torch::empty({0, fields}, torch::kDouble)};
  for (const auto& group : own_groups(ranks, std::ssize(questions), questions_per_pass)) {
    own.push_back(ask_at_once(model, prompts, part_of(questions, group)));
  }
  const auto rows = gather_rows(model, ranks, own, std::ssize(questions), questions_per_pass, "gather answers");
  OpenAnswers answers;
  double nll = 0;
  const auto row = rows.accessor<double, 2>();
  for (std::int64_t i = 0; i < rows.size(0); ++i) {
    answers.left_out.push_back(row[i][0] == 0);
    answers.answered.push_back(row[i][1] != 0);
    if (row[i][0] != 0) nll += row[i][2];
  }
  if (answers.asked() > 0) answers.nll = nll / static_cast<double>(answers.asked());
  if (const auto first = std::ranges::find(answers.left_out, true); first != answers.left_out.end()) {
    const OpenQuestion& question = questions[static_cast<std::size_t>(first - answers.left_out.begin())];
    answers.rejection =
        rejection_of(model, prompts, question.prompt, question.answer, question.prefix).value_or("");
  }
  return answers;
}

}  // namespace anchorage::worker
