#include "launch/commands/eval/edit_report.hpp"

#include <fmt/format.h>
#include <fmt/ranges.h>

#include "io/log.hpp"
#include "launch/commands/eval/intervals.hpp"
#include "launch/program/measured.hpp"

namespace anchorage::launch {
namespace {

nlohmann::json metric_document(const worker::Metric& metric) {
  return {{"success", number_or_null(metric.success)},
          {"success_interval", interval_or_null(metric.success_interval)},
          {"accuracy", number_or_null(metric.accuracy)},
          {"accuracy_interval", interval_or_null(metric.accuracy_interval)},
          {"magnitude", number_or_null(metric.magnitude)},
          {"magnitude_interval", interval_or_null(metric.magnitude_interval)},
          {"edits", metric.edits},
          {"compared", metric.compared},
          {"left_out", metric.left_out}};
}

// Of prompts without an answer to compare with.
nlohmann::json accuracy_of(const worker::Metric& metric) {
  return {{"accuracy", number_or_null(metric.accuracy)},
          {"accuracy_interval", interval_or_null(metric.accuracy_interval)},
          {"edits", metric.edits},
          {"left_out", metric.left_out}};
}

std::string table_of(const worker::EditMetrics& metrics) {
  std::string table =
      fmt::format("{:<14}{:>22}{:>22}{:>25}{:>8}\n", "", "success", "accuracy", "magnitude", "edits");
  const auto add = [&](const char* name, const worker::Metric& metric) {
    table +=
        fmt::format("{:<14}{:>22}{:>22}{:>25}{:>8}\n", name, with_interval(metric.success, metric.success_interval),
                    with_interval(metric.accuracy, metric.accuracy_interval),
                    with_interval(metric.magnitude, metric.magnitude_interval), metric.edits);
  };
  add("efficacy", metrics.efficacy);
  add("paraphrase", metrics.paraphrase);
  add("neighborhood", metrics.neighborhood);
  if (metrics.portability.edits > 0) add("portability", metrics.portability);
  const std::string meaning = metrics.score
                                  ? fmt::format("the harmonic mean of {}", fmt::join(metrics.score_of, ", "))
                                  : "nothing was compared";
  return table + fmt::format("score {} ({}) over {} edits\n", with_interval(metrics.score, metrics.score_interval),
                             meaning, metrics.edits);
}

}  // namespace

void add_edit_metrics(Report& report, const worker::EditMetrics& metrics, std::size_t rejected) {
  report.document.update({{"n", metrics.edits},
                          {"rejected", rejected},
                          {"efficacy", metric_document(metrics.efficacy)},
                          {"paraphrase", metric_document(metrics.paraphrase)},
                          {"neighborhood", metric_document(metrics.neighborhood)},
                          {"portability", accuracy_of(metrics.portability)},
                          {"score", number_or_null(metrics.score)},
                          {"score_interval", interval_or_null(metrics.score_interval)},
                          {"score_of", metrics.score_of}});
  report.table += table_of(metrics);
  if (rejected > 0) report.table += fmt::format("{} records of the file set aside\n", rejected);
}

void log_left_out(const worker::EditMetrics& metrics) {
  if (!metrics.first_left_out) return;
  spdlog::warn(
      "prompts that cannot be scored are left out: {} of efficacy, {} of paraphrase, {} of neighborhood, "
      "{} of portability; the first, of edit {}: {}",
      metrics.efficacy.left_out, metrics.paraphrase.left_out, metrics.neighborhood.left_out,
      metrics.portability.left_out, metrics.first_left_out->edit, metrics.first_left_out->reason);
}

}  // namespace anchorage::launch
