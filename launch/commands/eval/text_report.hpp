// What `anchorage eval` says of a text.
#pragma once

#include "launch/commands/eval/report.hpp"
#include "worker/evaluation/text_loss.hpp"

namespace anchorage::launch {

void add_text_loss(Report& report, const worker::TextLoss& text);

// Logs what could not be scored.
void log_left_out(const worker::TextLoss& text);

}  // namespace anchorage::launch
