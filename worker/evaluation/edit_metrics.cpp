#include "worker/evaluation/edit_metrics.hpp"

#include <array>
#include <cmath>
#include <tuple>

#include "worker/evaluation/completion.hpp"
#include "worker/evaluation/edit_figure.hpp"
#include "worker/evaluation/gathered_rows.hpp"

namespace anchorage::worker {
namespace {

constexpr std::int64_t edits_per_pass = 8;  // the unit of work: independent of the number of ranks

// Sums over an edit's prompts of one kind; a row of the gathered table.
struct Tally {
  double prompts = 0, left_out = 0, compared = 0, success = 0, accuracy = 0, magnitude = 0;
};

enum PromptKind : std::size_t { efficacy, paraphrase, neighborhood, portability, kinds };
constexpr std::size_t tally_fields = sizeof(Tally) / sizeof(double);

// A prompt with the wanted answer and the one to compare with (empty: nothing to compare).
struct Question {
  std::int64_t edit;
  PromptKind kind;
  std::string prompt, wanted, other;
  std::optional<std::string> prefix{};  // between prompt and answer
};

std::vector<Question> questions_of(std::span<const io::Edit> edits) {
  std::vector<Question> questions;
  for (std::size_t i = 0; i < edits.size(); ++i) {
    const auto& edit = edits[i];
    const auto number = static_cast<std::int64_t>(i);
    questions.push_back(
        {number, efficacy, edit.model_prompt(), edit.target, edit.ground_truth, edit.target_prefix});
    for (const auto& prompt : edit.paraphrases) {
      questions.push_back({number, paraphrase, prompt, edit.target, edit.ground_truth, edit.target_prefix});
    }
    for (const auto& neighbor : edit.neighborhood) {
      questions.push_back({number, neighborhood, neighbor.prompt, neighbor.answer, edit.target});
    }
    for (const auto& consequence : edit.portability)
      questions.push_back({number, portability, consequence.prompt, consequence.answer, ""});
  }
  return questions;
}

std::vector<std::string> answers_to(const Question& question) {
  if (question.other.empty()) return {question.wanted};
  return {question.wanted, question.other};
}

// Scores every question with its answers, in the order of `questions_of`.
PendingScores ask_questions(const Transformer& model, const PromptBuilder& prompts,
                            const std::vector<Question>& questions) {
  std::vector<Completion> completions;
  for (const Question& question : questions) {
    for (const std::string& answer : answers_to(question))
      completions.push_back(completion_of(prompts, question.prompt, answer, question.prefix));
  }
  return PendingScores::where_possible(model, completions);
}

// Returns the tallies of one pass: [edits, kinds * fields] f64.
torch::Tensor tally(std::span<const io::Edit> edits, const std::vector<Question>& questions,
                    const std::vector<CompletionScore>& scores) {
  std::vector<std::array<Tally, kinds>> table(edits.size());
  std::size_t next = 0;
  for (const Question& question : questions) {
    Tally& sum = table[static_cast<std::size_t>(question.edit)][question.kind];
    const CompletionScore& wanted = scores[next++];
    const CompletionScore* other = question.other.empty() ? nullptr : &scores[next++];
    if (!wanted.is_scored() || (other != nullptr && !other->is_scored())) {
      sum.left_out += 1;
      continue;
    }
    sum.prompts += 1;
    sum.accuracy += wanted.all_argmax() ? 1 : 0;
    if (other == nullptr) continue;
    sum.compared += 1;
    sum.success += wanted.mean_nll() < other->mean_nll() ? 1 : 0;
    sum.magnitude += std::exp(-wanted.mean_nll()) - std::exp(-other->mean_nll());
  }
  return torch::from_blob(table.data(), {static_cast<std::int64_t>(edits.size()), kinds * tally_fields},
                          torch::kDouble)
      .clone();
}

Tally tally_of(const torch::Tensor& tallies, std::int64_t edit, PromptKind kind) {
  Tally sum;
  std::copy_n(&tallies.accessor<double, 2>()[edit][kind * tally_fields], tally_fields, &sum.prompts);
  return sum;
}

std::optional<double> mean_of_some(double sum, double count) {
  if (count == 0) return std::nullopt;
  return sum / count;
}

// What each edit has of one kind of prompts: means over its prompts.
struct KindValues {
  ValuesOfEdits success, accuracy, magnitude;
};

KindValues values_of_edits(const torch::Tensor& tallies, PromptKind kind) {
  KindValues values;
  for (std::int64_t edit = 0; edit < tallies.size(0); ++edit) {
    const Tally sum = tally_of(tallies, edit, kind);
    values.success.push_back(mean_of_some(sum.success, sum.compared));
    values.accuracy.push_back(mean_of_some(sum.accuracy, sum.prompts));
    values.magnitude.push_back(mean_of_some(sum.magnitude, sum.compared));
  }
  return values;
}

Metric metric_of(const torch::Tensor& tallies, PromptKind kind) {
  const KindValues values = values_of_edits(tallies, kind);
  const EditFigure success = figure_of(values.success), accuracy = figure_of(values.accuracy),
                   magnitude = figure_of(values.magnitude);
  Metric metric{.success = success.mean,
                .accuracy = accuracy.mean,
                .magnitude = magnitude.mean,
                .compared = success.edits,
                .edits = accuracy.edits,
                .success_interval = success.interval,
                .accuracy_interval = accuracy.interval,
                .magnitude_interval = magnitude.interval};
  for (std::int64_t edit = 0; edit < tallies.size(0); ++edit)
    metric.left_out += std::llround(tally_of(tallies, edit, kind).left_out);
  return metric;
}

// A success of 0 makes the mean 0.
double harmonic_mean(std::span<const double> successes) {
  double inverse = 0;
  for (const double success : successes) inverse += 1 / success;
  return static_cast<double>(successes.size()) / inverse;
}

// Returns the harmonic mean of the successes of a sample of edits; nothing where one of them has no value there.
std::optional<double> score_of_sample(const std::vector<ValuesOfEdits>& successes,
                                      std::span<const std::size_t> sample) {
  std::vector<double> means;
  for (const ValuesOfEdits& values : successes) {
    double sum = 0, count = 0;
    for (const std::size_t edit : sample) {
      if (!values[edit]) continue;
      sum += *values[edit];
      count += 1;
    }
    const auto success = mean_of_some(sum, count);
    if (!success) return std::nullopt;
    means.push_back(*success);
  }
  return harmonic_mean(means);
}

// Computes the score from the successes that were measured.
void add_score(EditMetrics& metrics, const torch::Tensor& tallies) {
  std::vector<double> means;
  std::vector<ValuesOfEdits> successes;
  for (const auto& [name, kind, metric] : {std::tuple("efficacy", efficacy, &metrics.efficacy),
                                           {"paraphrase", paraphrase, &metrics.paraphrase},
                                           {"neighborhood", neighborhood, &metrics.neighborhood}}) {
    if (!metric->success) continue;
    metrics.score_of.emplace_back(name);
    means.push_back(*metric->success);
    successes.push_back(values_of_edits(tallies, kind).success);
  }
  if (means.empty()) return;
  metrics.score = harmonic_mean(means);
  metrics.score_interval =
      bootstrap(static_cast<std::size_t>(metrics.edits),
                [&](std::span<const std::size_t> sample) { return score_of_sample(successes, sample); });
}

std::optional<LeftOutPrompt> first_without_score(const torch::Tensor& tallies, const Transformer& model,
                                                 const PromptBuilder& prompts, std::span<const io::Edit> edits) {
  for (std::int64_t edit = 0; edit < tallies.size(0); ++edit) {
    const auto has_some = [&](PromptKind kind) { return tally_of(tallies, edit, kind).left_out > 0; };
    if (!has_some(efficacy) && !has_some(paraphrase) && !has_some(neighborhood) && !has_some(portability)) continue;
    const auto place = static_cast<std::size_t>(edit);
    for (const Question& question : questions_of(edits.subspan(place, 1))) {
      for (const std::string& answer : answers_to(question)) {
        if (auto rejection = rejection_of(model, prompts, question.prompt, answer, question.prefix))
          return LeftOutPrompt{.edit = edits[place].id, .reason = std::move(*rejection)};
      }
    }
  }
  return std::nullopt;
}

}  // namespace

EditMetrics evaluate_edits(const Transformer& model, const PromptBuilder& prompts, std::span<const io::Edit> edits,
                           const Communicators& ranks) {
  std::vector<torch::Tensor> own = {torch::empty({0, kinds * tally_fields}, torch::kDouble)};
  const auto groups = own_groups(ranks, std::ssize(edits), edits_per_pass);
  std::vector<PendingScores> pending;
  for (const auto& group : groups)
    pending.push_back(ask_questions(model, prompts, questions_of(part_of(edits, group))));
  for (PendingScores& pass : pending) pass.finish();
  for (std::size_t i = 0; i < groups.size(); ++i) {
    const auto members = part_of(edits, groups[i]);
    own.push_back(tally(members, questions_of(members), pending[i].take()));
  }
  const auto tallies = gather_rows(model, ranks, own, std::ssize(edits), edits_per_pass, "gather evaluation");
  EditMetrics metrics{.edits = std::ssize(edits),
                      .efficacy = metric_of(tallies, efficacy),
                      .paraphrase = metric_of(tallies, paraphrase),
                      .neighborhood = metric_of(tallies, neighborhood),
                      .portability = metric_of(tallies, portability)};
  add_score(metrics, tallies);
  metrics.first_left_out = first_without_score(tallies, model, prompts, edits);
  return metrics;
}

}  // namespace anchorage::worker
