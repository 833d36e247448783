#include "launch/commands/tune/figures.hpp"

#include <limits>
#include <optional>

#include "launch/program/measured.hpp"

namespace anchorage::launch {
namespace {

std::optional<double> number_in(const nlohmann::json& document, const char* name) {
  const auto& value = document.at(name);
  return value.is_null() ? std::nullopt : std::optional(value.get<double>());
}

}  // namespace

nlohmann::json document_of(const TraceFigures& trace) {
  return {{"effects", trace.effects},
          {"clean", trace.clean},
          {"corrupted", trace.corrupted},
          {"facts", trace.facts},
          {"peak", trace.peak}};
}

TraceFigures trace_of(const nlohmann::json& document) {
  return {.effects = document.at("effects"),
          .clean = document.at("clean"),
          .corrupted = document.at("corrupted"),
          .facts = document.at("facts"),
          .peak = document.at("peak")};
}

nlohmann::json document_of(const TrialSettings& settings) {
  return {{"layers", settings.layers},
          {"mom2_update_weight", settings.mom2_update_weight},
          {"clamp_norm_factor", settings.clamp_norm_factor}};
}

nlohmann::json document_of(const TrialFigures& figures) {
  return {{"match", number_or_null(figures.match)},
          {"paraphrases", number_or_null(figures.paraphrases)},
          {"neighbors", number_or_null(figures.neighbors)},
          {"loss", number_or_null(figures.loss)},
          {"drift", figures.drift},
          {"refused", figures.refused}};
}

TrialFigures figures_of(const nlohmann::json& document) {
  return {.match = number_in(document, "match"),
          .paraphrases = number_in(document, "paraphrases"),
          .neighbors = number_in(document, "neighbors"),
          .loss = number_in(document, "loss"),
          .drift = number_in(document, "drift").value_or(std::numeric_limits<double>::infinity()),
          .refused = document.at("refused")};
}

}  // namespace anchorage::launch
