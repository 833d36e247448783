// What `anchorage eval` says of edits.
#pragma once

#include "launch/commands/eval/report.hpp"
#include "worker/evaluation/edit_metrics.hpp"

namespace anchorage::launch {

// `rejected` counts the records of the file that are no edits.
void add_edit_metrics(Report& report, const worker::EditMetrics& metrics, std::size_t rejected);

// Logs what could not be scored.
void log_left_out(const worker::EditMetrics& metrics);

}  // namespace anchorage::launch
