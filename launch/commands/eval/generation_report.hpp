// What `anchorage eval --generate` says of generations after the prompts of edits.
#pragma once

#include <span>

#include "io/edits/edit.hpp"
#include "launch/commands/eval/report.hpp"
#include "worker/evaluation/generation_metrics.hpp"

namespace anchorage::launch {

// Adds "generation": the figures, and the texts, from which worker::GenerationBaseline reads. With a `baseline`,
// null for none, how many of its neighborhood's texts are the same.
void add_generations(Report& report, std::span<const io::Edit> edits, const worker::EditGenerations& generations,
                     const worker::GenerationBaseline* baseline);

// Logs the prompts that could not be continued.
void log_left_out(const worker::EditGenerations& generations);

}  // namespace anchorage::launch
