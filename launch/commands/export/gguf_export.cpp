#include "launch/commands/export/gguf_export.hpp"

#include <fmt/format.h>

#include <gguf_export_script.hpp>  // generated

#include "io/error.hpp"
#include "io/files/staging_directory.hpp"
#include "launch/commands/export/full_export.hpp"
#include "launch/program/python_step.hpp"

namespace anchorage::launch {
namespace {

// The step marks its reason by whose mistake it is.
constexpr std::string_view not_installed = "not installed: ", differs = "differs: ",
                           beyond_llama_cpp = "beyond llama.cpp: ";

[[noreturn]] void fail(const std::string& reason, const std::filesystem::path& base) {
  if (reason.starts_with(not_installed)) {
    throw io::UserError(
        {.expected = "the Python package gguf",
         .found = "none",
         .where = python_environment(),
         .remedy = fmt::format("'{}/bin/python3 -m pip install gguf', or name an environment that has "
                               "it in ANCHORAGE_PYTHON",
                               python_environment())});
  }
  if (reason.starts_with(differs)) {
    throw io::SystemError({.expected = "the tensors of the exported model",
                           .found = reason.substr(differs.size()),
                           .where = fmt::format("what was read back from {}", gguf_file_name),
                           .remedy = "nothing is left of it; export again, to another disk if that repeats"});
  }
  if (reason.starts_with(beyond_llama_cpp)) {
    throw io::UserError({.expected = "a model that llama.cpp computes",
                         .found = reason.substr(beyond_llama_cpp.size()),
                         .where = base.string(),
                         .remedy = "leave out --format gguf: transformers and servers that read its directories "
                                   "compute this model"});
  }
  throw io::UserError({.expected = "a model that is written as GGUF here",
                       .found = reason,
                       .where = base.string(),
                       .remedy = "leave out --format gguf and convert the directory with llama.cpp's own "
                                 "convert_hf_to_gguf.py"});
}

}  // namespace

void write_gguf_export(ExportReport& report, const ExportedRun& run, const std::filesystem::path& directory,
                       const GgufOptions& options) {
  const auto model = directory / "hf";
  io::make_directories(model);
  write_full_export(run, model, io::Unchanged::share);
  const auto result = run_python_step(gguf_export_script, {{"model", model.string()},
                                                           {"name", base_name(run)},
                                                           {"out", (directory / gguf_file_name).string()},
                                                           {"type", options.type},
                                                           {"verify", options.verify}});
  if (!result.succeeded) fail(result.reason, run.base.path());
  std::filesystem::remove_all(model);
  const auto written = nlohmann::json::parse(result.out);
  report.document["gguf"] = written;
  report.text += fmt::format("  {}: {} tensors, matrices in {}\n", gguf_file_name, written["tensors"].get<int>(),
                             written["type"].get<std::string>());
  for (const auto& note : written["notes"]) {
    report.text += fmt::format("llama.cpp: {}\n", note.get<std::string>());
    report.card.push_back(fmt::format("In llama.cpp: {}.", note.get<std::string>()));
  }
  if (!options.verify) return;
  report.text += "read back: every tensor is that of the exported model\n";
  report.card.emplace_back("Read back after it was written: every tensor is that of the exported model.");
}

}  // namespace anchorage::launch
