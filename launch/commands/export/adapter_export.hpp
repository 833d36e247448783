// `export --format peft`: the run's live change as a LoRA adapter.
#pragma once

#include <filesystem>
#include <optional>

#include "launch/commands/export/export_report.hpp"
#include "launch/commands/export/exported_run.hpp"
#include "launch/program/session.hpp"

namespace anchorage::launch {

struct AdapterOptions {
  std::optional<std::int64_t> rank;  // none: the smallest that servers accept and that holds the change
  bool verify = false;
};

// Writes the adapter into an existing directory. With a rank below that of the change, reports the share of its
// Frobenius norm that is lost, in each layer and in all, and the scores of the edits before and after. Throws
// io::UserError where nothing was changed, or no rank that servers accept holds the change and none is given;
// io::SystemError where `verify` finds other log-probabilities than those of the run's own weights.
void write_adapter_export(ExportReport& report, const ExportedRun& run, const std::filesystem::path& directory,
                          const AdapterOptions& options, const Session& session);

}  // namespace anchorage::launch
