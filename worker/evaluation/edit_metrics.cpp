#include "worker/evaluation/edit_metrics.hpp"

#include <array>
#include <cmath>

#include "worker/evaluation/score.hpp"

namespace anchorage::worker {
namespace {

constexpr std::int64_t edits_a_pass = 8;  // the unit of work: independent of the number of ranks

// Sums over an edit's prompts of one kind; a row of the gathered table.
struct Tally {
  double prompts = 0, compared = 0, success = 0, accuracy = 0, magnitude = 0;
};

enum Kind : std::size_t { efficacy, paraphrase, neighborhood, kinds };
constexpr std::size_t tally_fields = sizeof(Tally) / sizeof(double);

// A prompt with the answer it should have and the one to compare with (may be empty: nothing to compare).
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

// Every question with its answers, in the order of `questions_of`.
PendingScores ask(const Transformer& model, const PromptBuilder& prompts, const std::vector<Question>& questions) {
  std::vector<Completion> completions;
  for (const Question& question : questions) {
    const TokenIds prompt = prompts.prompt_ids(question.prompt);
    const auto add = [&](const std::string& answer) {
      completions.push_back({prompt, prompts.target_ids(question.prompt, answer, question.prefix)});
    };
    add(question.wanted);
    if (!question.other.empty()) add(question.other);
  }
  return PendingScores::where_possible(model, completions);
}

// [edits, kinds * fields] f64: the tallies of one pass.
torch::Tensor tally(std::span<const io::Edit> edits, const std::vector<Question>& questions,
                    const std::vector<CompletionScore>& scores) {
  std::vector<std::array<Tally, kinds>> table(edits.size());
  std::size_t next = 0;
  for (const Question& question : questions) {
    Tally& sum = table[static_cast<std::size_t>(question.edit)][question.kind];
    const CompletionScore& wanted = scores[next++];
    const CompletionScore* other = question.other.empty() ? nullptr : &scores[next++];
    if (!wanted.is_scored()) continue;
    sum.prompts += 1;
    sum.accuracy += wanted.all_argmax() ? 1 : 0;
    if (other == nullptr || !other->is_scored()) continue;
    sum.compared += 1;
    sum.success += wanted.mean_nll() < other->mean_nll() ? 1 : 0;
    sum.magnitude += std::exp(-wanted.mean_nll()) - std::exp(-other->mean_nll());
  }
  return torch::from_blob(table.data(), {static_cast<std::int64_t>(edits.size()), kinds * tally_fields},
                          torch::kDouble)
      .clone();
}

Metric mean_over_edits(const torch::Tensor& tallies, Kind kind) {
  Metric metric;
  const auto entry = tallies.accessor<double, 2>();
  for (std::int64_t edit = 0; edit < tallies.size(0); ++edit) {
    Tally sum;
    std::copy_n(&entry[edit][kind * tally_fields], tally_fields, &sum.prompts);
    if (sum.prompts == 0) continue;
    ++metric.edits;
    metric.accuracy += sum.accuracy / sum.prompts;
    if (sum.compared == 0) continue;
    ++metric.compared;
    metric.success += sum.success / sum.compared;
    metric.magnitude += sum.magnitude / sum.compared;
  }
  metric.accuracy /= static_cast<double>(std::max<std::int64_t>(1, metric.edits));
  metric.success /= static_cast<double>(std::max<std::int64_t>(1, metric.compared));
  metric.magnitude /= static_cast<double>(std::max<std::int64_t>(1, metric.compared));
  return metric;
}

double harmonic_mean(std::initializer_list<Metric> metrics) {
  double inverse = 0;
  std::int64_t count = 0;
  for (const Metric& metric : metrics) {
    if (metric.compared == 0) continue;
    if (metric.success == 0) return 0;
    inverse += 1 / metric.success;
    ++count;
  }
  return count == 0 ? 0 : static_cast<double>(count) / inverse;
}

}  // namespace

EditMetrics evaluate_edits(const Transformer& model, const PromptBuilder& prompts, std::span<const io::Edit> edits,
                           const Ranks& ranks) {
  std::vector<torch::Tensor> own = {torch::empty({0, kinds * tally_fields}, torch::kDouble)};
  const auto groups = own_groups(ranks, std::ssize(edits), edits_a_pass);
  std::vector<PendingScores> pending;
  for (const auto& group : groups) pending.push_back(ask(model, prompts, questions_of(part_of(edits, group))));
  for (std::size_t i = 0; i < groups.size(); ++i) {
    const auto members = part_of(edits, groups[i]);
    own.push_back(tally(members, questions_of(members), pending[i].take()));
  }
  const auto tallies = ranks.device.all_gather(at::cat(own).to(model.device()), "gather evaluation").cpu();
  EditMetrics metrics{.edits = std::ssize(edits),
                      .efficacy = mean_over_edits(tallies, efficacy),
                      .paraphrase = mean_over_edits(tallies, paraphrase),
                      .neighborhood = mean_over_edits(tallies, neighborhood)};
  metrics.score = harmonic_mean({metrics.efficacy, metrics.paraphrase, metrics.neighborhood});
  return metrics;
}

}  // namespace anchorage::worker
