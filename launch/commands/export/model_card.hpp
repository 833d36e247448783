// The model card of an export: README.md with Hugging Face's front matter.
#pragma once

#include <string>
#include <string_view>

#include "launch/commands/export/export_report.hpp"
#include "launch/commands/export/exported_run.hpp"

namespace anchorage::launch {

// A form in which a run is exported.
struct ExportForm {
  std::string_view name;     // of --format
  std::string_view library;  // Hugging Face's name of what loads it
  std::string_view content;  // what the directory holds, in words
  std::string_view use;      // Python or shell that loads it, below its directory
};

// Writes the card's text: base, method, number of edits, scores as far as the run or the export has them, and
// limits.
std::string model_card(const ExportedRun& run, const ExportForm& form, const ExportReport& report);

}  // namespace anchorage::launch
