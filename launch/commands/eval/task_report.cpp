#include "launch/commands/eval/task_report.hpp"

#include <fmt/format.h>
#include <fmt/ranges.h>

#include "io/log.hpp"
#include "launch/commands/eval/intervals.hpp"
#include "launch/program/measured.hpp"

namespace anchorage::launch {
namespace {

std::vector<std::int64_t> numbers_of(const std::vector<bool>& answered) {
  std::vector<std::int64_t> numbers;
  for (std::size_t i = 0; i < answered.size(); ++i) {
    if (answered[i]) numbers.push_back(static_cast<std::int64_t>(i));
  }
  return numbers;
}

// What a task's kind has beside its figures.
void add_details(nlohmann::json& document, const worker::OpenAnswers& answers) {
  document["answered"] = numbers_of(answers.answered);
  document["nll"] = number_or_null(answers.nll);
}

void add_details(nlohmann::json& document, const worker::ChoiceAnswers& answers) {
  document["decided"] = number_or_null(answers.decided());
  document["matthews"] = number_or_null(answers.matthews_correlation());
}

void add_details(nlohmann::json& document, const worker::GeneratedAnswers& answers) {
  document["texts"] = nlohmann::json::array();
  for (const auto& text : answers.texts)
    document["texts"].push_back(text ? nlohmann::json(*text) : nlohmann::json());
}

std::string details_of(const worker::OpenAnswers& answers) {
  return fmt::format(", {} nats per answer", number_or_dash(answers.nll));
}
std::string details_of(const worker::ChoiceAnswers& answers) {
  return fmt::format(", {} of the greedy answers are a choice", number_or_dash(answers.decided(), 2));
}
std::string details_of(const worker::GeneratedAnswers&) {
  return "";
}

std::string figure_text(const worker::Figure& figure) {
  if (!figure.estimate) return fmt::format("{} -", figure.name);
  const std::string text =
      fmt::format("{} {}", figure.name, with_interval(figure.estimate->value, figure.interval));
  return figure.chance ? fmt::format("{} (chance {:.2f})", text, *figure.chance) : text;
}

// A report of `eval` on the same task before editing, and what is left of it.
void add_kept(Report& report, const worker::EvaluationTask& task, const worker::OpenAnswers& answers,
              std::span<const worker::Figure>, const worker::Baseline& baseline) {
  const worker::Kept kept = baseline.kept(task, answers);
  report.document["tasks"][task.name]["kept"] = {{"before", kept.before},
                                                 {"still", kept.still},
                                                 {"share", number_or_null(kept.share())},
                                                 {"share_interval", interval_or_null(kept.interval)}};
  report.table += fmt::format("; {} of the {} answered before are kept", with_interval(kept.share(), kept.interval),
                              kept.before);
}

template <typename Answers>
void add_kept(Report& report, const worker::EvaluationTask& task, const Answers& answers,
              std::span<const worker::Figure> figures, const worker::Baseline& baseline) {
  std::vector<std::string> texts;
  nlohmann::json& document = report.document["tasks"][task.name]["kept"];
  for (const worker::KeptFigure& kept : baseline.kept(task, figures)) {
    document[kept.name] = number_or_null(kept.share);
    texts.push_back(kept.was_at_chance ? fmt::format("{} was at chance", kept.name)
                                       : fmt::format("{} {}", kept.name, number_or_dash(kept.share)));
  }
  report.table += fmt::format("; kept above chance: {}", fmt::join(texts, ", "));
  const std::int64_t before = baseline.left_out(task), now = worker::left_out_of(answers).count;
  if (before == now) return;
  spdlog::warn("{}: {} questions could not be asked before and {} now: what is kept compares other questions",
               task.name, before, now);
}

}  // namespace

void add_task(Report& report, const worker::EvaluationTask& task, const worker::TaskAnswers& answers,
              const std::optional<worker::Baseline>& baseline) {
  const auto figures = worker::figures_of(answers);
  const std::int64_t left_out = worker::left_out_of(answers).count;
  nlohmann::json& document = report.document["tasks"][task.name];
  document = {
      {"file", task.file_digest}, {"questions", task.size()}, {"left_out", left_out}, {"shots", task.shots}};
  std::vector<std::string> texts;
  for (const worker::Figure& figure : figures) {
    const auto& estimate = figure.estimate;
    document[figure.name] = number_or_null(estimate ? std::optional(estimate->value) : std::nullopt);
    document[figure.name + "_interval"] = interval_or_null(figure.interval);
    document[figure.name + "_error"] = number_or_null(estimate ? std::optional(estimate->error) : std::nullopt);
    if (figure.chance) document[figure.name + "_chance"] = *figure.chance;
    texts.push_back(figure_text(figure));
  }
  report.table +=
      fmt::format("{:<14}{}, over {} questions", task.name, fmt::join(texts, ", "), task.size() - left_out);
  std::visit(
      [&](const auto& of_kind) {
        add_details(document, of_kind);
        report.table += details_of(of_kind);
        if (baseline) add_kept(report, task, of_kind, figures, *baseline);
      },
      answers);
  report.table += '\n';
}

void log_left_out(const worker::EvaluationTask& task, const worker::TaskAnswers& answers) {
  const worker::LeftOutQuestions left_out = worker::left_out_of(answers);
  if (left_out.count == 0) return;
  spdlog::warn("{}: {} questions that cannot be asked are left out; the first, number {}: {}", task.name,
               left_out.count, left_out.first, left_out.reason);
}

}  // namespace anchorage::launch
