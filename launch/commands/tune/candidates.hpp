// The layers that `anchorage tune` tries, and their second moments.
#pragma once

#include <filesystem>
#include <vector>

#include "launch/commands/tune/report.hpp"
#include "launch/commands/tune/task.hpp"
#include "launch/commands/tune/work_directory.hpp"
#include "launch/program/opened_model.hpp"

namespace anchorage::launch {

// Traces the sample's facts, unless that was done before. Collective.
TraceFigures trace(const TuneTask& task, const OpenedModel& model, const WorkDirectory& work, Session& session);

// Returns the windows of layers to be tried: at the trace's peak, and those of --hparams. Where statistics are
// given only those whose layers these have; throws io::UserError where that leaves none.
std::vector<std::vector<int>> windows_of(const TuneTask& task, const TraceFigures& traced, const Session& session);

// Collects the second moments of all layers of the windows, or continues that; returns the file. Collective.
std::filesystem::path collected_statistics(const TuneTask& task, const OpenedModel& model,
                                           const std::vector<std::vector<int>>& windows, const WorkDirectory& work,
                                           Session& session);

}  // namespace anchorage::launch
