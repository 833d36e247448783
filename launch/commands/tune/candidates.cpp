#include "launch/commands/tune/candidates.hpp"

#include <fmt/format.h>
#include <fmt/ranges.h>

#include <algorithm>

#include "io/error.hpp"
#include "io/log.hpp"
#include "launch/program/finished_statistics.hpp"
#include "launch/program/progress_line.hpp"
#include "sharding/collective/host_communicator.hpp"
#include "worker/evaluation/causal_trace.hpp"
#include "worker/statistics/key_statistics.hpp"

namespace anchorage::launch {

TraceFigures trace(const TuneTask& task, const OpenedModel& model, const WorkDirectory& work, Session& session) {
  return trace_of(work.kept("trace", [&] {
    std::optional<ProgressLine> line;
    const auto progress = [&](std::int64_t done, std::int64_t of) {
      if (!line) line.emplace("causal trace", of, "facts", session);
      line->advance_to(done);
    };
    const auto traced =
        worker::trace_facts(model.transformer, task.facts,
                            {.noises = task.options.noises, .seed = static_cast<std::uint64_t>(task.options.seed)},
                            session.communicators(), progress);
    return document_of(TraceFigures{.effects = traced.effects,
                                    .clean = traced.clean,
                                    .corrupted = traced.corrupted,
                                    .facts = traced.facts,
                                    .peak = traced.peak()});
  }));
}

std::vector<std::vector<int>> windows_of(const TuneTask& task, const TraceFigures& traced, const Session& session) {
  auto windows = windows_at(static_cast<int>(traced.peak), static_cast<int>(task.directory.config().layers));
  if (!task.start.layers.empty()) add_once(windows, task.start.layers);
  if (!task.given) return windows;
  const auto layers = task.given->layers();
  const auto lacks = [&](const std::vector<int>& window) {
    return std::ranges::any_of(window, [&](int layer) { return std::ranges::count(layers, layer) == 0; });
  };
  const auto left_out = std::erase_if(windows, lacks);
  if (windows.empty()) {
    throw io::UserError({.expected = fmt::format("statistics of layers at the trace's peak, layer {}", traced.peak),
                         .found = fmt::format("those of layers {}", fmt::join(layers, ", ")),
                         .where = task.options.statistics.string(),
                         .remedy = "leave out --stats, and they are collected"});
  }
  if (left_out > 0 && session.is_root()) {
    spdlog::warn("{} windows of layers are not tried: {} has layers {} alone", left_out,
                 task.options.statistics.string(), fmt::join(layers, ", "));
  }
  return windows;
}

std::filesystem::path collected_statistics(const TuneTask& task, const OpenedModel& model,
                                           const std::vector<std::vector<int>>& windows, const WorkDirectory& work,
                                           Session& session) {
  worker::StatisticsOptions wanted{.corpus = task.options.corpus, .out = work.statistics(), .layers = {}};
  for (const auto& window : windows) {
    for (const int layer : window) add_once(wanted.layers, static_cast<std::int64_t>(layer));
  }
  std::ranges::sort(wanted.layers);
  wanted.tokens = task.options.tokens;
  wanted.sequence_length = task.sequence_length;
  if (is_finished(wanted.out, task.fingerprint, wanted.layers, wanted.tokens)) return wanted.out;
  ProgressLine line("second moments", wanted.tokens, "tokens", session);
  worker::collect_key_statistics(model.transformer, model.tokenizer, task.fingerprint, wanted,
                                 session.communicators(), [&](std::int64_t tokens) { line.advance_to(tokens); });
  // Rank 0 writes the last of it alone.
  session.host().barrier("wait for the statistics", sharding::Timeout::steps(std::ssize(wanted.layers) + 1));
  return wanted.out;
}

}  // namespace anchorage::launch
