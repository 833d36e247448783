#include "launch/commands/report/measures.hpp"

#include <fmt/format.h>

#include <algorithm>
#include <array>

#include "io/error.hpp"

namespace anchorage::launch {
namespace {

constexpr std::array traits{
    MeasureTraits{Measure::kept, "kept", "tasks/known/kept", "share", "Facts kept",
                  "Of the facts that the model knew before any edit, the share that it still answers.", Unit::share,
                  Better::higher},
    MeasureTraits{Measure::exact, "efficacy_accuracy", "efficacy", "accuracy", "Exact match",
                  "Edits of whose new answer every token is the most probable one after the edit's own prompt.",
                  Unit::share, Better::higher},
    MeasureTraits{Measure::efficacy, "efficacy", "efficacy", "success", "Efficacy",
                  "Edits whose new answer is likelier than the old one.", Unit::share, Better::higher},
    MeasureTraits{Measure::paraphrase, "paraphrase", "paraphrase", "success", "Paraphrase",
                  "The new answer is likelier than the old one after other wordings of the prompt.", Unit::share,
                  Better::higher},
    MeasureTraits{Measure::paraphrase_exact, "paraphrase_accuracy", "paraphrase", "accuracy", "Paraphrase, exact",
                  "After other wordings every token of the new answer is the most probable one.", Unit::share,
                  Better::higher},
    MeasureTraits{Measure::neighborhood, "neighborhood", "neighborhood", "success", "Neighborhood",
                  "Of neighboring facts, which must stay, the true answer is likelier than the edit's new one.",
                  Unit::share, Better::higher},
    MeasureTraits{Measure::neighborhood_exact, "neighborhood_accuracy", "neighborhood", "accuracy",
                  "Neighborhood, exact",
                  "Of neighboring facts every token of the true answer is the most probable one.", Unit::share,
                  Better::higher},
    MeasureTraits{Measure::portability_exact, "portability_accuracy", "portability", "accuracy",
                  "Portability, exact",
                  "Of questions that follow from an edit every token of the answer is the most probable one.",
                  Unit::share, Better::higher},
    MeasureTraits{Measure::generated_exact, "generated_exact", "generation/prompts", "exact", "Generated, exact",
                  "Generated freely after the edit's own prompt, the text is the new answer.", Unit::share,
                  Better::higher},
    MeasureTraits{Measure::generated_contained, "generated_contained", "generation/prompts", "contained",
                  "Generated, contained",
                  "Generated freely after the edit's own prompt, the text contains the new answer.", Unit::share,
                  Better::higher},
    MeasureTraits{Measure::score, "score", "", "score", "Score",
                  "The harmonic mean of efficacy, paraphrase and neighborhood.", Unit::share, Better::higher},
    MeasureTraits{Measure::loss, "loss", "heldout", "loss", "Held-out loss",
                  "Mean loss on a text that has nothing to do with the edits, nats per token.", Unit::nats,
                  Better::lower},
    MeasureTraits{Measure::loss_change, "loss_change", "", "", "Change of loss",
                  "Held-out loss less that of the model before any edit, nats per token.", Unit::nats,
                  Better::lower},
    MeasureTraits{Measure::lambada, "lambada", "tasks/lambada", "accuracy", "LAMBADA",
                  "Passages whose last word the model completes.", Unit::share, Better::higher},
    MeasureTraits{
        Measure::sentiment, "sentiment_auc", "tasks/sentiment", "auc", "Sentiment, AUC",
        "How well the answers' log-probabilities tell positive sentences from negative ones; 0.5 is chance.",
        Unit::share, Better::higher}};

}  // namespace

std::span<const MeasureTraits> all_measures() {
  return traits;
}

const MeasureTraits& traits_of(Measure measure) {
  const auto found = std::ranges::find(traits, measure, &MeasureTraits::measure);
  io::check(found != traits.end(), "a measure without traits");
  return *found;
}

std::string text_of(Measure measure, double value) {
  if (measure == Measure::loss_change) return fmt::format("{:+.4f}", value);
  return traits_of(measure).unit == Unit::share ? fmt::format("{:.3f}", value) : fmt::format("{:.4f}", value);
}

std::string text_of(Measure measure, const Figure& figure) {
  std::string value = text_of(measure, figure.value);
  if (!figure.interval) return value;
  return fmt::format("{} ({} to {})", value, text_of(measure, figure.interval->low),
                     text_of(measure, figure.interval->high));
}

}  // namespace anchorage::launch
