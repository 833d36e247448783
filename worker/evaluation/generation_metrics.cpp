#include "worker/evaluation/generation_metrics.hpp"

#include <algorithm>
#include <string>
#include <vector>

#include "io/evaluation/answer_match.hpp"

namespace anchorage::worker {
namespace {

// A prompt's text, the answers that it may give, and what was said there before.
struct Comparison {
  const OptionalText* text;
  std::vector<std::string> answers;
  const std::optional<std::string>* before = nullptr;
};

class MetricOfKind {
 public:
  // Takes the prompts of the next edit.
  void add(const std::vector<Comparison>& comparisons) {
    double texts = 0, exact = 0, contained = 0, ended = 0, compared = 0, same = 0;
    for (const auto& [text, answers, before] : comparisons) {
      if (!*text) {
        ++metric_.left_out;
        continue;
      }
      const std::string& said = (*text)->text;
      texts += 1;
      exact += io::matches_exactly(said, answers) ? 1 : 0;
      contained += io::contains_answer(said, answers) ? 1 : 0;
      ended += (*text)->naturally_ended ? 1 : 0;
      if (before == nullptr || !*before) continue;
      compared += 1;
      same += io::normalized_answer(said) == io::normalized_answer(**before) ? 1 : 0;
    }
    add_mean(exact_, exact, texts);
    add_mean(contained_, contained, texts);
    add_mean(ended_, ended, texts);
    add_mean(same_, same, compared);
  }

  GenerationMetric metric() const {
    GenerationMetric metric = metric_;
    metric.exact = figure_of(exact_);
    metric.contained = figure_of(contained_);
    metric.naturally_ended = figure_of(ended_);
    metric.same = figure_of(same_);
    return metric;
  }

 private:
  static void add_mean(ValuesOfEdits& values, double sum, double count) {
    values.push_back(count == 0 ? std::nullopt : std::optional(sum / count));
  }

  GenerationMetric metric_;
  ValuesOfEdits exact_, contained_, ended_, same_;
};

// Compares the texts after neighbors with the neighbors' own answers.
std::vector<Comparison> comparisons_of(const std::vector<io::Neighbor>& neighbors,
                                       const std::vector<OptionalText>& texts) {
  std::vector<Comparison> comparisons;
  for (std::size_t i = 0; i < neighbors.size(); ++i)
    comparisons.push_back({.text = &texts[i], .answers = neighbors[i].accepted_answers()});
  return comparisons;
}

std::optional<double> share_that_ended(const std::vector<TextsOfEdit>& texts) {
  double all = 0, ended = 0;
  const auto count = [&](const OptionalText& text) {
    if (!text) return;
    all += 1;
    ended += text->naturally_ended ? 1 : 0;
  };
  for (const auto& [prompt, paraphrases, neighborhood, portability] : texts) {
    count(prompt);
    for (const auto* some : {&paraphrases, &neighborhood, &portability}) std::ranges::for_each(*some, count);
  }
  if (all == 0) return std::nullopt;
  return ended / all;
}

}  // namespace

GenerationMetrics measure(std::span<const io::Edit> edits, const EditGenerations& generations,
                          const GenerationBaseline* baseline) {
  MetricOfKind prompts, paraphrases, neighborhood, portability;
  for (std::size_t i = 0; i < edits.size(); ++i) {
    const io::Edit& edit = edits[i];
    const TextsOfEdit& texts = generations.texts[i];
    prompts.add({{.text = &texts.prompt, .answers = {edit.target}}});
    std::vector<Comparison> in_other_words;
    for (const OptionalText& text : texts.paraphrases)
      in_other_words.push_back({.text = &text, .answers = {edit.target}});
    paraphrases.add(in_other_words);
    auto neighbors = comparisons_of(edit.neighborhood, texts.neighborhood);
    for (std::size_t number = 0; baseline != nullptr && number < neighbors.size(); ++number)
      neighbors[number].before = &baseline->neighborhood_text(i, number);
    neighborhood.add(neighbors);
    portability.add(comparisons_of(edit.portability, texts.portability));
  }
  return {.prompts = prompts.metric(),
          .paraphrases = paraphrases.metric(),
          .neighborhood = neighborhood.metric(),
          .portability = portability.metric(),
          .naturally_ended = share_that_ended(generations.texts)};
}

}  // namespace anchorage::worker
