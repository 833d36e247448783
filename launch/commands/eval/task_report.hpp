// What `anchorage eval` says of a task.
#pragma once

#include <optional>

#include "launch/commands/eval/report.hpp"
#include "worker/evaluation/tasks.hpp"

namespace anchorage::launch {

void add_task(Report& report, const worker::EvaluationTask& task, const worker::TaskAnswers& answers,
              const std::optional<worker::Baseline>& baseline);

// Logs what could not be asked.
void log_left_out(const worker::EvaluationTask& task, const worker::TaskAnswers& answers);

}  // namespace anchorage::launch
