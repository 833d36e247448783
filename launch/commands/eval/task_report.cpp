#include "launch/commands/eval/task_report.hpp"

#include <fmt/format.h>

#include <algorithm>

#include "io/log.hpp"
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

nlohmann::json document_of(const worker::EvaluationTask& task, const worker::OpenAnswers& answers,
                           const std::optional<worker::Kept>& kept) {
  nlohmann::json document = {{"file", task.file_digest},
                             {"questions", task.questions.size()},
                             {"answered", numbers_of(answers.answered)},
                             {"left_out", std::ranges::count(answers.left_out, true)},
                             {"accuracy", number_or_null(answers.accuracy())},
                             {"nll", number_or_null(answers.nll)}};
  if (kept) {
    document["kept"] = {{"before", kept->before}, {"still", kept->still}, {"share", number_or_null(kept->share())}};
  }
  return document;
}

std::string line_of(const worker::EvaluationTask& task, const worker::OpenAnswers& answers,
                    const std::optional<worker::Kept>& kept) {
  std::string line = fmt::format("{:<14}{} of {} questions answered, {} nats per answer", task.name,
                                 number_or_dash(answers.accuracy()), answers.asked(), number_or_dash(answers.nll));
  if (kept)
    line += fmt::format("; {} of the {} answered before are kept", number_or_dash(kept->share()), kept->before);
  return line + "\n";
}

}  // namespace

void add_task(Report& report, const worker::EvaluationTask& task, const worker::OpenAnswers& answers,
              const std::optional<worker::Baseline>& baseline) {
  const auto kept = baseline ? std::optional(baseline->kept(task, answers)) : std::nullopt;
  report.document["tasks"][task.name] = document_of(task, answers, kept);
  report.table += line_of(task, answers, kept);
}

void log_left_out(const worker::EvaluationTask& task, const worker::OpenAnswers& answers) {
  const auto first = std::ranges::find(answers.left_out, true);
  if (first == answers.left_out.end()) return;
  spdlog::warn("{}: {} questions that cannot be asked are left out; the first, number {}: {}", task.name,
               std::ranges::count(answers.left_out, true), first - answers.left_out.begin(), answers.rejection);
}

}  // namespace anchorage::launch
