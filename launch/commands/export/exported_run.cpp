#include "launch/commands/export/exported_run.hpp"

#include <filesystem>
#include <utility>

#include "io/error.hpp"
#include "io/run/journal/live_segments.hpp"
#include "io/run/run_directory.hpp"

namespace anchorage::launch {
namespace {

// Reads the requests of live edits and their scores, a segment at a time.
void add_recorded_edits(ExportedRun& run, const std::vector<coordinator::RecordedEdit>& recorded,
                        const io::Journal& journal) {
  double matched = 0, nll = 0;
  for (auto edit = recorded.begin(); edit != recorded.end();) {
    const std::int64_t batch = edit->batch;
    const auto& entry = journal.list()[static_cast<std::size_t>(batch)];
    const auto records = io::SegmentReader(entry.path).edits();
    for (; edit != recorded.end() && edit->batch == batch; ++edit) {
      if (!edit->is_live()) continue;
      const io::EditRecord& record = records.at(static_cast<std::size_t>(edit->row));
      run.edits.push_back(io::edit_from_json(record.request, entry.path.string()));
      matched += record.match_after ? 1 : 0;
      nll += record.nll_after;
    }
  }
  const auto count = static_cast<double>(run.edits.size());
  run.scores = {.edits = std::ssize(run.edits), .matched = matched / count, .nll = nll / count};
}

// Returns the probes of the last segment that has some.
std::vector<io::ProbeRecord> last_probes(const std::vector<io::JournalEntry>& live) {
  for (auto entry = live.rbegin(); entry != live.rend(); ++entry) {
    auto guard = io::SegmentReader(entry->path).guard();
    if (!guard.probes.empty()) return std::move(guard.probes);
  }
  return {};
}

}  // namespace

ExportedRun open_exported_run(const std::string& name) {
  const ModelArgument argument = parse_model_argument(name);
  if (!argument.run) {
    throw io::UserError({.expected = "a run directory (with run.yaml)",
                         .found = "a model",
                         .where = name,
                         .remedy = "a model is already what 'export' would write"});
  }
  const auto directory = io::RunDirectory::view(*argument.run);
  const auto journal = io::Journal::open(directory.journal());
  if (argument.batch) io::require_segment(journal, *argument.batch, argument.run->string());
  const std::int64_t number = argument.batch.value_or(std::ssize(journal.list()) - 1);
  const auto live = number < 0 ? std::vector<io::JournalEntry>() : io::live_segments(journal, number);
  ExportedRun run{.argument = argument,
                  .base = io::ModelDirectory::open(argument.base),
                  .record = directory.record(),
                  .updates = io::RunUpdates(live),
                  .edits = {},
                  .scores = {},
                  .probes = last_probes(live),
                  .segment = live.empty() ? 0 : live.back().header.batch};
  if (!live.empty()) add_recorded_edits(run, coordinator::recorded_edits(journal, number), journal);
  return run;
}

std::string base_name(const ExportedRun& run) {
  const auto path = std::filesystem::absolute(run.base.path()).lexically_normal();
  return (path.has_filename() ? path : path.parent_path()).filename().string();
}

}  // namespace anchorage::launch
