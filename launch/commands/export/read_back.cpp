#include "launch/commands/export/read_back.hpp"

#include <torch/utils.h>

#include <algorithm>
#include <cmath>

#include "io/error.hpp"
#include "io/tokenizer/tokenizer.hpp"
#include "launch/program/measured.hpp"
#include "worker/editing/update/edited_weights.hpp"
#include "worker/evaluation/completion.hpp"
#include "worker/evaluation/loss_probe.hpp"
#include "worker/model/load.hpp"

namespace anchorage::launch {
namespace {

constexpr std::size_t texts_per_pass = 8;

std::vector<worker::Completion> completions_of(const std::vector<io::Edit>& edits,
                                               const worker::PromptBuilder& prompts) {
  const auto count = std::min(std::ssize(edits), most_edits_compared);
  std::vector<worker::Completion> completions;
  for (std::int64_t i = 0; i < count; ++i) {
    const io::Edit& edit = edits[static_cast<std::size_t>(i * std::ssize(edits) / count)];
    completions.push_back(worker::completion_of(prompts, edit.model_prompt(), edit.target, edit.target_prefix));
  }
  return completions;
}

// Each sentence as what follows its first token.
std::vector<worker::Completion> sentences_of(const worker::Transformer& model,
                                             const worker::PromptBuilder& prompts) {
  std::vector<worker::Completion> completions;
  for (const worker::TokenIds& ids : worker::general_sentences(prompts, model.config.max_positions))
    completions.push_back({.prompt = {ids.front()}, .completion = {ids.begin() + 1, ids.end()}});
  return completions;
}

std::vector<worker::CompletionScore> scores_of(const worker::Transformer& model,
                                               std::span<const worker::Completion> completions) {
  std::vector<worker::CompletionScore> scores;
  for (; !completions.empty(); completions = completions.subspan(std::min(texts_per_pass, completions.size()))) {
    const auto pass = completions.first(std::min(texts_per_pass, completions.size()));
    for (auto& score : worker::PendingScores::where_possible(model, pass).take())
      scores.push_back(std::move(score));
  }
  return scores;
}

// Log-probabilities that are the same infinity do not differ; a NaN differs from everything.
void add_differences(double& largest, std::int64_t& compared, const std::vector<worker::CompletionScore>& left,
                     const std::vector<worker::CompletionScore>& right) {
  io::check(left.size() == right.size(), "two measures of the same texts");
  for (std::size_t i = 0; i < left.size(); ++i) {
    const auto &a = left[i].log_probabilities, &b = right[i].log_probabilities;
    io::check(a.size() == b.size(), "two scores of the same text");
    for (std::size_t j = 0; j < a.size(); ++j) {
      ++compared;
      const double difference =
          a[j] == b[j] ? 0.0 : std::abs(static_cast<double>(a[j]) - static_cast<double>(b[j]));
      largest = difference <= largest ? largest : difference;
    }
  }
}

double mean_nll(const std::vector<worker::CompletionScore>& scores) {
  double sum = 0, count = 0;
  for (const auto& score : scores) {
    if (!score.is_scored()) continue;
    sum += score.mean_nll();
    ++count;
  }
  return sum / count;
}

}  // namespace

double Measures::matched() const {
  const auto matched = std::ranges::count_if(edits, [](const auto& score) { return score.all_argmax(); });
  return static_cast<double>(matched) / static_cast<double>(edits.size());
}

double Measures::nll() const {
  return mean_nll(edits);
}

double Measures::loss() const {
  return mean_nll(sentences);
}

double Difference::largest() const {
  return edits >= sentences ? edits : sentences;
}

Measures measure(const io::ModelDirectory& directory, const std::map<std::int64_t, torch::Tensor>& weights,
                 const std::vector<io::Edit>& edits, const ReadBackOptions& options) {
  const torch::NoGradGuard no_gradients;
  auto model =
      worker::load_transformer(directory, {.device = options.device, .dtype = options.dtype, .stages = {}});
  for (const auto& [layer, weight] : weights) model.block(layer).down.weight.copy_(weight);
  const auto tokenizer = io::Tokenizer::load(directory.tokenizer());
  const worker::PromptBuilder prompts(tokenizer, model.config.vocabulary);
  return {.edits = scores_of(model, completions_of(edits, prompts)),
          .sentences = scores_of(model, sentences_of(model, prompts))};
}

Difference difference_of(const Measures& left, const Measures& right) {
  Difference difference;
  add_differences(difference.edits, difference.compared, left.edits, right.edits);
  add_differences(difference.sentences, difference.compared, left.sentences, right.sentences);
  return difference;
}

void report_difference(ExportReport& report, const Difference& difference, const Measures& found) {
  if (!(difference.largest() <= read_back_tolerance)) {
    throw io::SystemError(
        {.expected = fmt::format("the log-probabilities of the run's own weights, to {:g}", read_back_tolerance),
         .found = fmt::format("others, up to {:.3g} away over edits and {:.3g} over held-out sentences",
                              difference.edits, difference.sentences),
         .where = "what was read back from the export",
         .remedy = "nothing is left of it; export again, to another disk if that repeats"});
  }
  report.document["verified"] = {{"edits", found.edits.size()},
                                 {"sentences", found.sentences.size()},
                                 {"log_probabilities", difference.compared},
                                 {"largest_difference", difference.largest()},
                                 {"matched", number_or_null(found.matched())},
                                 {"nll", number_or_null(found.nll())},
                                 {"held_out_loss", number_or_null(found.loss())}};
  report.text += fmt::format(
      "read back: {} log-probabilities of {} edits and {} held-out sentences, at most {:.2g} from the run's own\n",
      difference.compared, found.edits.size(), found.sentences.size(), difference.largest());
  report.card.push_back(fmt::format(
      "Read back after it was written: {} of {} edits answered with their target as the most probable tokens, "
      "{:.4f} nats per token over held-out sentences.",
      std::ranges::count_if(found.edits, [](const auto& score) { return score.all_argmax(); }), found.edits.size(),
      found.loss()));
}

}  // namespace anchorage::launch
