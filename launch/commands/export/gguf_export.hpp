// `export --format gguf`: the edited model as one file for llama.cpp, by the `gguf` package of PyPI.
#pragma once

#include <filesystem>
#include <string>

#include "launch/commands/export/export_report.hpp"
#include "launch/commands/export/exported_run.hpp"

namespace anchorage::launch {

inline constexpr auto gguf_file_name = "model.gguf";

struct GgufOptions {
  std::string type = "auto";  // of matrices: auto (each tensor's own), f32, f16 or bf16
  bool verify = false;        // read the file back and compare every tensor
};

// Writes model.gguf into an existing directory, by way of a full export beside it, which is removed again. Throws
// io::UserError where the package is missing, or the family, its options or the tokenizer have no place in GGUF
// here; io::SystemError where what is read back differs.
void write_gguf_export(ExportReport& report, const ExportedRun& run, const std::filesystem::path& directory,
                       const GgufOptions& options);

}  // namespace anchorage::launch
