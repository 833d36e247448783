#include "worker/evaluation/choices.hpp"

#include <torch/utils.h>
#include <algorithm>
#include <map>

#include "worker/evaluation/completion.hpp"

namespace anchorage::worker {
namespace {

constexpr std::int64_t questions_per_pass = 8;  // the unit of work: independent of the number of ranks

std::size_t most_choices(std::span<const io::ChoiceQuestion> questions) {
  std::size_t most = 0;
  for (const io::ChoiceQuestion& question : questions) most = std::max(most, question.choices.size());
  return most;
}

// Returns [questions, 2 * choices] f64: of each choice the log-probability, and whether greedy decoding writes it.
// NaN where a question has fewer choices or cannot be asked.
torch::Tensor ask_at_once(const Transformer& model, const PromptBuilder& prompts,
                          std::span<const io::ChoiceQuestion> questions, std::size_t choices) {
  std::vector<Completion> completions;
  for (const io::ChoiceQuestion& question : questions) {
    for (const std::string& choice : question.choices)
      completions.push_back(completion_of(prompts, question.prompt, choice, " "));
  }
  const auto scores = PendingScores::where_possible(model, completions).take();
  auto table = torch::full({std::ssize(questions), static_cast<std::int64_t>(choices), 2}, NAN, torch::kDouble);
  auto row = table.accessor<double, 3>();
  std::size_t next = 0;
  for (std::size_t q = 0; q < questions.size(); ++q) {
    const auto own = std::span(scores).subspan(next, questions[q].choices.size());
    next += own.size();
    if (!std::ranges::all_of(own, &CompletionScore::is_scored)) continue;
    for (std::size_t c = 0; c < own.size(); ++c) {
      auto cell = row[static_cast<std::int64_t>(q)][static_cast<std::int64_t>(c)];
      cell[0] = -own[c].mean_nll() * static_cast<double>(own[c].log_probabilities.size());
      cell[1] = own[c].all_argmax() ? 1 : 0;
    }
  }
  return table.flatten(1);
}

ChoiceAnswer answer_of(const io::ChoiceQuestion& question, const torch::Tensor& row) {
  ChoiceAnswer answer{.right = question.answer, .log_probabilities = {}, .greedy = std::nullopt};
  const double* cells = row.const_data_ptr<double>();
  if (std::isnan(cells[0])) return answer;
  for (std::size_t c = 0; c < question.choices.size(); ++c) {
    answer.log_probabilities.push_back(cells[2 * c]);
    if (cells[2 * c + 1] != 0 && !answer.greedy) answer.greedy = c;
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

bool has_two_choices(const ChoiceAnswer& answer) {
  return !answer.is_asked() || answer.log_probabilities.size() == 2;
}

}  // namespace

std::size_t ChoiceAnswer::likeliest() const {
  return static_cast<std::size_t>(std::ranges::max_element(log_probabilities) - log_probabilities.begin());
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
  if (!std::ranges::all_of(answers, has_two_choices)) return std::nullopt;
  std::vector<double> of_first, of_second;
  for (const ChoiceAnswer& answer : answers) {
    if (!answer.is_asked()) continue;
    (answer.right == 0 ? of_first : of_second).push_back(answer.log_probabilities[0] - answer.log_probabilities[1]);
  }
  return worker::area_under_curve(of_first, of_second);
}

std::optional<double> ChoiceAnswers::matthews_correlation() const {
  if (asked() == 0 || !std::ranges::all_of(answers, has_two_choices)) return std::nullopt;
  Confusion confusion;
  for (const ChoiceAnswer& answer : answers) {
    if (!answer.is_asked()) continue;
    const bool is_right = answer.likeliest() == answer.right;
    if (answer.likeliest() == 0) {
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
  const std::size_t choices = most_choices(questions);
  std::vector<torch::Tensor> own = {torch::empty({0, static_cast<std::int64_t>(2 * choices)}, torch::kDouble)};
  for (const auto& group : own_groups(ranks, std::ssize(questions), questions_per_pass))
    own.push_back(ask_at_once(model, prompts, part_of(questions, group), choices));
  model.stages.deliver();
  const auto rows = ranks.device.all_gather(at::cat(own).to(model.device()), "gather choices").cpu();
  ChoiceAnswers answers;
  for (std::size_t i = 0; i < questions.size(); ++i) {
    answers.answers.push_back(answer_of(questions[i], rows[static_cast<std::int64_t>(i)]));
    if (answers.answers.back().is_asked() || !answers.rejection.empty()) continue;
    answers.rejection = first_rejection(model, prompts, questions[i]);
  }
  return answers;
}

}  // namespace anchorage::worker
