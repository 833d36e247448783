// `export --format hf`: the edited model as a Hugging Face directory.
#pragma once

#include <filesystem>

#include "io/model/model_export.hpp"
#include "launch/commands/export/export_report.hpp"
#include "launch/commands/export/exported_run.hpp"
#include "launch/program/session.hpp"

namespace anchorage::launch {

// Writes the model into an existing directory.
io::ExportReport write_full_export(const ExportedRun& run, const std::filesystem::path& directory,
                                   io::Unchanged unchanged);

// Says what was written, and which values survived the rounding.
void report_full_export(ExportReport& report, const io::ExportReport& exported);

// Reads the directory back and compares it with the run's own weights (read_back.hpp).
void verify_full_export(ExportReport& report, const ExportedRun& run, const std::filesystem::path& directory,
                        const Session& session);

}  // namespace anchorage::launch
