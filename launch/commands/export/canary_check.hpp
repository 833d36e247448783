// `export --canaries`: an export is held back where a canary does not hold.
#pragma once

#include <filesystem>

#include "launch/commands/export/export_report.hpp"
#include "launch/commands/export/exported_run.hpp"
#include "launch/program/session.hpp"

namespace anchorage::launch {

// Asks the run's edited model, loaded whole on this rank, and before that the unedited one for canaries without an
// answer; reports that all hold. Throws io::SystemError, for exit code 1, that names the first that does not, with
// what the model says.
void require_canaries(ExportReport& report, const ExportedRun& run, const std::filesystem::path& file,
                      Session& session);

}  // namespace anchorage::launch
