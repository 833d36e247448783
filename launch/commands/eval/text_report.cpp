#include "launch/commands/eval/text_report.hpp"

#include <fmt/format.h>

#include "io/log.hpp"
#include "launch/commands/eval/intervals.hpp"
#include "launch/program/measured.hpp"

namespace anchorage::launch {

void add_text_loss(Report& report, const worker::TextLoss& text) {
  report.document["heldout"] = {{"loss", number_or_null(text.loss)},
                                {"loss_interval", interval_or_null(text.loss_interval)},
                                {"tokens", text.tokens},
                                {"left_out", text.left_out}};
  report.table += fmt::format("held-out loss {} nats per token over {} tokens\n",
                              with_interval(text.loss, text.loss_interval, 4), text.tokens);
}

void log_left_out(const worker::TextLoss& text) {
  if (text.left_out == 0) return;
  spdlog::warn("{} sequences of held-out text that cannot be scored are left out; the first: {}", text.left_out,
               text.rejection);
}

}  // namespace anchorage::launch
