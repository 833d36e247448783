// The state of a run as `export` takes it: its base, what changed it, and the edits that it holds.
#pragma once

#include <cstdint>
#include <string>
#include <vector>

#include "coordinator/recorded_edits.hpp"
#include "io/model/model_directory.hpp"
#include "io/run/run_record.hpp"
#include "io/run/run_updates.hpp"
#include "launch/program/model_argument.hpp"

namespace anchorage::launch {

// What the journal says of its edits' answers, each measured after the edit's own batch.
struct RecordedScores {
  std::int64_t edits = 0;  // live ones
  double matched = 0;      // share whose target's tokens are all the most probable; NaN without edits
  double nll = 0;          // mean over edits, nats per token
};

struct ExportedRun {
  ModelArgument argument;
  io::ModelDirectory base;
  io::RunRecord record;
  io::RunUpdates updates;
  std::vector<io::Edit> edits;  // live ones, oldest first, as they were requested
  RecordedScores scores;
  std::vector<io::ProbeRecord> probes;  // what the guard measured around the last live batch; may be empty
  std::int64_t segment = 0;             // the last live one; 0, the base, where nothing was changed
};

// Throws io::UserError where the argument is no run, or has no such batch.
ExportedRun open_exported_run(const std::string& argument);

// Returns the name of the base's directory.
std::string base_name(const ExportedRun& run);

}  // namespace anchorage::launch
