#include "worker/evaluation/edit_metrics.hpp"

#include <array>
#include <cmath>

#include "worker/evaluation/completion.hpp"

namespace anchorage::worker {
namespace {

constexpr std::int64_t edits_per_pass = 8;  // the unit of work: independent of the number of ranks

// Sums over an edit's prompts of one kind; a row of the gathered table.
struct Tally {
  double prompts = 0, left_out = 0, compared = 0, success = 0, accuracy = 0, magnitude = 0;
};

enum Kind : std::size_t { efficacy, paraphrase, neighborhood, kinds };
constexpr std::size_t tally_fields = sizeof(Tally) / sizeof(double);

// A prompt with the wanted answer and the one to compare with (empty: nothing to compare).
struct Question {
  std::int64_t edit;
  Kind kind;
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
  }
  return questions;
}

std::vector<std::string> answers_to(const Question& question) {
  if (question.other.empty()) return {question.wanted};
  return {question.wanted, question.other};
}

// Scores every question with its answers, in the order of `questions_of`.
PendingScores ask(const Transformer& model, const PromptBuilder& prompts, const std::vector<Question>& questions) {
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

Tally tally_of(const torch::Tensor& tallies, std::int64_t edit, Kind kind) {
  Tally sum;
  std::copy_n(&tallies.accessor<double, 2>()[edit][kind * tally_fields], tally_fields, &sum.prompts);
  return sum;
}

std::optional<double> mean(double sum, std::int64_t count) {
  if (count == 0) return std::nullopt;
  return sum / static_cast<double>(count);
}

Metric mean_over_edits(const torch::Tensor& tallies, Kind kind) {
  Metric metric;
  double success = 0, accuracy = 0, magnitude = 0;
  for (std::int64_t edit = 0; edit < tallies.size(0); ++edit) {
    const Tally sum = tally_of(tallies, edit, kind);
    metric.left_out += std::llround(sum.left_out);
    if (sum.prompts == 0) continue;
    ++metric.edits;
    accuracy += sum.accuracy / sum.prompts;
    if (sum.compared == 0) continue;
    ++metric.compared;
    success += sum.success / sum.compared;
    magnitude += sum.magnitude / sum.compared;
  }
  metric.accuracy = mean(accuracy, metric.edits);
  metric.success = mean(success, metric.compared);
  metric.magnitude = mean(magnitude, metric.compared);
  return metric;
}

// Computes the score from the successes that were measured.
void add_score(EditMetrics& metrics) {
  double inverse = 0;
  for (const auto& [name, metric] : {std::pair("efficacy", &metrics.efficacy),
                                     {"paraphrase", &metrics.paraphrase},
                                     {"neighborhood", &metrics.neighborhood}}) {
    if (!metric->success) continue;
    metrics.score_of.emplace_back(name);
    inverse += 1 / *metric->success;  // infinite for a success of 0, which makes the mean 0
  }
  if (!metrics.score_of.empty()) metrics.score = static_cast<double>(metrics.score_of.size()) / inverse;
}

std::optional<LeftOutPrompt> first_left_out(const torch::Tensor& tallies, const Transformer& model,
                                            const PromptBuilder& prompts, std::span<const io::Edit> edits) {
  for (std::int64_t edit = 0; edit < tallies.size(0); ++edit) {
    const auto has_some = [&](Kind kind) { return tally_of(tallies, edit, kind).left_out > 0; };
    if (!has_some(efficacy) && !has_some(paraphrase) && !has_some(neighborhood)) continue;
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
  for (const auto& group : groups) pending.push_back(ask(model, prompts, questions_of(part_of(edits, group))));
  for (PendingScores& pass : pending) pass.finish();
  for (std::size_t i = 0; i < groups.size(); ++i) {
    const auto members = part_of(edits, groups[i]);
    own.push_back(tally(members, questions_of(members), pending[i].take()));
  }
  model.stages.deliver();
  const auto tallies = ranks.device.all_gather(at::cat(own).to(model.device()), "gather evaluation").cpu();
  EditMetrics metrics{.edits = std::ssize(edits),
                      .efficacy = mean_over_edits(tallies, efficacy),
                      .paraphrase = mean_over_edits(tallies, paraphrase),
                      .neighborhood = mean_over_edits(tallies, neighborhood)};
  add_score(metrics);
  metrics.first_left_out = first_left_out(tallies, model, prompts, edits);
  return metrics;
}

}  // namespace anchorage::worker
