#include "worker/evaluation/choices.hpp"

#include <torch/utils.h>
#include <algorithm>
#include <cmath>
#include <limits>
#include <map>

#include "worker/evaluation/completion.hpp"
#include "worker/evaluation/gathered_rows.hpp"

namespace anchorage::worker {
namespace {

constexpr std::int64_t choices_per_pass = 8;  // the unit of work: independent of the number of ranks

// Returns [questions, 1 + 2 * choices] f64: whether each could be asked, and of each choice the log-probability and
// whether greedy decoding writes it.
torch::Tensor ask_choices_at_once(const Transformer& model, const PromptBuilder& prompts,
                                  std::span<const io::ChoiceQuestion> questions) {
  std::vector<Completion> completions;
  for (const io::ChoiceQuestion& question : questions) {
    for (const std::string& choice : question.choices)
      completions.push_back(completion_of(prompts, question.prompt, choice, " "));
  }
  const auto scores = PendingScores::where_possible(model, completions).take();
  std::vector<double> table;
  std::size_t next = 0;
  for (const io::ChoiceQuestion& question : questions) {
    const auto own = std::span(scores).subspan(next, question.choices.size());
    next += own.size();
    const bool is_asked = std::ranges::all_of(own, &CompletionScore::is_scored);
    table.push_back(is_asked ? 1 : 0);
    for (const CompletionScore& score : own) {
      table.push_back(is_asked ? -score.mean_nll() * static_cast<double>(score.log_probabilities.size()) : 0);
      table.push_back(is_asked && score.all_argmax() ? 1 : 0);
    }
  }
  return torch::tensor(table, torch::kDouble).view({std::ssize(questions), -1});
}

ChoiceAnswer answer_of(const io::ChoiceQuestion& question, const torch::Tensor& row) {
  ChoiceAnswer answer{.right = question.answer, .log_probabilities = {}, .greedy = std::nullopt};
  const double* cells = row.const_data_ptr<double>();
  if (cells[0] == 0) return answer;
  for (std::size_t c = 0; c < question.choices.size(); ++c) {
    const double log_probability = cells[1 + 2 * c];
    const bool is_number = !std::isnan(log_probability);
    answer.log_probabilities.push_back(is_number ? log_probability : -std::numeric_limits<double>::infinity());
    if (is_number && cells[2 + 2 * c] != 0 && !answer.greedy) answer.greedy = c;
  }
  return answer;
}

std::string first_rejection(const Transformer& model, const PromptBuilder& prompts,
                            const io::ChoiceQuestion& question) {
  for (const std::string& choice : question.choices) {
    if (auto rejection = rejection_of(model, prompts, question.prompt, choice, " ")) return *rejection;
  }
  return "";
}

}  // namespace

std::optional<std::size_t> ChoiceAnswer::likeliest() const {
  const auto largest = std::ranges::max_element(log_probabilities);
  if (largest == log_probabilities.end() || std::isinf(*largest)) return std::nullopt;
  return static_cast<std::size_t>(largest - log_probabilities.begin());
}

double ChoiceAnswer::difference() const {
  const double first = log_probabilities[0], second = log_probabilities[1];
  return first == second ? 0 : first - second;
}

std::int64_t ChoiceAnswers::asked() const {
  return std::ranges::count_if(answers, &ChoiceAnswer::is_asked);
}

std::optional<double> ChoiceAnswers::decided() const {
  if (asked() == 0) return std::nullopt;
  const auto decided =
      std::ranges::count_if(answers, [](const ChoiceAnswer& answer) { return answer.greedy.has_value(); });
  return static_cast<double>(decided) / static_cast<double>(asked());
}

std::optional<Estimate> ChoiceAnswers::area_under_curve() const {
  if (choices != 2) return std::nullopt;
  std::vector<double> of_first, of_second;
  for (const ChoiceAnswer& answer : answers) {
    if (!answer.is_asked()) continue;
    (answer.right == 0 ? of_first : of_second).push_back(answer.difference());
  }
  return worker::area_under_curve(of_first, of_second);
}

std::optional<double> ChoiceAnswers::matthews_correlation() const {
  if (asked() == 0 || choices != 2) return std::nullopt;
  Confusion confusion;
  for (const ChoiceAnswer& answer : answers) {
    if (!answer.likeliest()) continue;
    const bool is_right = answer.likeliest() == answer.right;
    if (answer.likeliest() == 0u) {
      ++(is_right ? confusion.true_positives : confusion.false_positives);
    } else {
      ++(is_right ? confusion.true_negatives : confusion.false_negatives);
    }
  }
  return worker::matthews_correlation(confusion);
}

std::optional<double> ChoiceAnswers::chance() const {
  std::map<std::size_t, std::int64_t> counts;
  for (const ChoiceAnswer& answer : answers) {
    if (answer.is_asked()) ++counts[answer.right];
  }
  if (counts.empty()) return std::nullopt;
  return static_cast<double>(
             std::ranges::max_element(counts, {}, [](const auto& entry) { return entry.second; })->second) /
         static_cast<double>(asked());
}

ChoiceAnswers ask(const Transformer& model, const PromptBuilder& prompts,
                  std::span<const io::ChoiceQuestion> questions, const Communicators& ranks) {
  ChoiceAnswers answers;
  if (!questions.empty()) answers.choices = questions.front().choices.size();
  const auto columns = static_cast<std::int64_t>(1 + 2 * answers.choices);
  std::vector<torch::Tensor> own = {torch::empty({0, columns}, torch::kDouble)};
  for (const auto& group : own_groups(ranks, std::ssize(questions), choices_per_pass))
    own.push_back(ask_choices_at_once(model, prompts, part_of(questions, group)));
  const auto rows = gather_rows(model, ranks, own, std::ssize(questions), choices_per_pass, "gather choices");
  for (std::size_t i = 0; i < questions.size(); ++i) {
    answers.answers.push_back(answer_of(questions[i], rows[static_cast<std::int64_t>(i)]));
    if (answers.answers.back().is_asked() || !answers.rejection.empty()) continue;
    answers.rejection = first_rejection(model, prompts, questions[i]);
  }
  return answers;
}

}  // namespace anchorage::worker
