#include "launch/commands/eval/edit_report.hpp"

#include <fmt/format.h>
#include <fmt/ranges.h>

#include "io/log.hpp"
#include "launch/program/measured.hpp"

namespace anchorage::launch {
namespace {

nlohmann::json document_of(const worker::Metric& metric) {
  return {{"success", number_or_null(metric.success)},
          {"accuracy", number_or_null(metric.accuracy)},
          {"magnitude", number_or_null(metric.magnitude)},
          {"edits", metric.edits},
          {"compared", metric.compared},
          {"left_out", metric.left_out}};
}

std::string table_of(const worker::EditMetrics& metrics) {
  std::string table =
      fmt::format("{:<14}{:>9}{:>10}{:>11}{:>8}\n", "", "success", "accuracy", "magnitude", "edits");
  const auto add = [&](const char* name, const worker::Metric& metric) {
    table += fmt::format("{:<14}{:>9}{:>10}{:>11}{:>8}\n", name, number_or_dash(metric.success),
                         number_or_dash(metric.accuracy), number_or_dash(metric.magnitude), metric.edits);
  };
  add("efficacy", metrics.efficacy);
  add("paraphrase", metrics.paraphrase);
  add("neighborhood", metrics.neighborhood);
  const std::string meaning = metrics.score
                                  ? fmt::format("the harmonic mean of {}", fmt::join(metrics.score_of, ", "))
                                  : "nothing was compared";
  return table +
         fmt::format("score {} ({}) over {} edits\n", number_or_dash(metrics.score), meaning, metrics.edits);
}

}  // namespace

void add_edit_metrics(Report& report, const worker::EditMetrics& metrics, std::size_t rejected) {
  report.document.update({{"n", metrics.edits},
                          {"rejected", rejected},
                          {"efficacy", document_of(metrics.efficacy)},
                          {"paraphrase", document_of(metrics.paraphrase)},
                          {"neighborhood", document_of(metrics.neighborhood)},
                          {"score", number_or_null(metrics.score)},
                          {"score_of", metrics.score_of}});
  report.table += table_of(metrics);
  if (rejected > 0) report.table += fmt::format("{} records of the file set aside\n", rejected);
}

void log_left_out(const worker::EditMetrics& metrics) {
  if (!metrics.first_left_out) return;
  spdlog::warn(
      "prompts that cannot be scored are left out: {} of efficacy, {} of paraphrase, {} of neighborhood; "
      "the first, of edit {}: {}",
      metrics.efficacy.left_out, metrics.paraphrase.left_out, metrics.neighborhood.left_out,
      metrics.first_left_out->edit, metrics.first_left_out->reason);
}

}  // namespace anchorage::launch
