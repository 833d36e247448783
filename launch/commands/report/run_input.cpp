// Reads a run: its journal, which is the truth, and metrics.jsonl, which alone has the seconds.
#include <cmath>

#include "coordinator/recorded_edits.hpp"
#include "io/error.hpp"
#include "io/run/journal/live_segments.hpp"
#include "io/run/recorded_run.hpp"
#include "launch/commands/journal/edit_status.hpp"
#include "launch/commands/report/report_inputs.hpp"
#include "sharding/protocol/command.hpp"

namespace anchorage::launch {
namespace {

std::optional<double> measured(double value) {
  return std::isfinite(value) ? std::optional(value) : std::nullopt;
}

void add_mean(std::optional<double>& mean, double value, double share) {
  if (std::isfinite(value)) mean = mean.value_or(0) + value * share;
}

// Adds a segment's edits to the run, and their figures to the batch. `edit` is the first of them.
void add_edits(RunContents& run, RunBatch& batch, std::span<const coordinator::RecordedEdit> recorded,
               std::span<const io::EditRecord> records) {
  std::int64_t scored = 0, matched = 0;
  for (const io::EditRecord& record : records) {
    const bool is_committed = record.state == io::EditState::committed;
    ++(is_committed ? batch.committed : batch.set_aside);
    if (!is_committed || std::isnan(record.nll_after)) continue;
    ++scored;
    matched += record.match_after ? 1 : 0;
  }
  const double share = 1.0 / static_cast<double>(std::max<std::int64_t>(1, scored));
  for (std::size_t row = 0; row < records.size(); ++row) {
    const io::EditRecord& record = records[row];
    const coordinator::RecordedEdit& edit = recorded[row];
    const bool is_scored = record.state == io::EditState::committed && !std::isnan(record.nll_after);
    if (is_scored) add_mean(batch.nll_before, record.nll_before, share);
    if (is_scored) add_mean(batch.nll_after, record.nll_after, share);
    run.live += edit.is_live() ? 1 : 0;
    if (record.state == io::EditState::committed && (!is_scored || record.match_after)) continue;
    run.failed.push_back({.batch = batch.batch,
                          .id = record.id,
                          .prompt = edit.edit.filled_prompt(),
                          .wanted = edit.edit.target,
                          .nll_before = measured(record.nll_before),
                          .nll_after = measured(record.nll_after),
                          .why = is_scored ? "not matched after its batch" : "set aside: " + record.reason,
                          .now = status_of(edit)});
  }
  if (scored > 0) batch.matched = static_cast<double>(matched) / static_cast<double>(scored);
  run.edits += std::ssize(records);
  run.set_aside += batch.set_aside;
  run.measured += scored;
  run.matched += matched;
}

void add_measures(RunBatch& batch, const io::SegmentReader& segment) {
  for (const io::RemovedLayer& layer : segment.removal().layers) batch.drift[layer.layer] = layer.norms.drift();
  const auto layers = segment.layers();
  const auto norms = segment.norms();
  for (std::size_t i = 0; i < layers.size(); ++i) batch.drift[layers[i]] = norms[i].drift();
  for (const io::ProbeRecord& probe : segment.guard().probes) {
    if (probe.name != sharding::held_out_loss) continue;
    batch.loss_before = measured(probe.before);
    batch.loss_after = measured(probe.after);
  }
}

}  // namespace

RunContents read_run(const std::filesystem::path& path, const std::string& label) {
  const auto directory = io::RunDirectory::view(path);
  const auto journal = io::journal_of(directory);
  RunContents run{.label = label,
                  .source = {},
                  .model = std::filesystem::path(directory.record().model).filename().string(),
                  .method = directory.record().method};
  if (journal.empty()) return run;
  const auto metrics = io::metrics_of_batches(directory);
  const auto recorded = coordinator::recorded_edits(journal);
  std::size_t first = 0;  // of the next segment's edits
  for (const io::JournalEntry& entry : io::live_segments(journal)) {
    const io::SegmentReader segment(entry.path);
    RunBatch batch{.batch = entry.header.batch,
                   .is_removal = entry.header.kind == io::SegmentKind::removal,
                   .removed = std::ssize(segment.removed())};
    const auto records = segment.edits();
    io::check(first + records.size() <= recorded.size(), "a live segment whose edits are not recorded");
    add_edits(run, batch, std::span(recorded).subspan(first, records.size()), records);
    first += records.size();
    add_measures(batch, segment);
    if (const auto found = metrics.find(batch.batch); found != metrics.end()) batch.seconds = found->second.seconds;
    run.batches.push_back(std::move(batch));
  }
  run.anchors = anchor_history(journal);
  return run;
}

}  // namespace anchorage::launch
