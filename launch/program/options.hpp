// Options that several commands share.
#pragma once

#include <CLI/CLI.hpp>
#include <optional>
#include <string>
#include <vector>

#include "launch/program/session.hpp"

namespace anchorage::launch {

// Adds the options that all commands share.
void add_session_options(CLI::App& command, SessionOptions& options);

// Adds --stages, for commands that load a model.
void add_stages_option(CLI::App& command, SessionOptions& options);

// Adds --format, a name of io/edits/formats.hpp or "auto": the format of a file of edits, where its fields do
// not determine it.
void add_format_option(CLI::App& command, std::optional<std::string>& format);

// Adds --method with the methods of worker/editing/method.hpp.
void add_method_option(CLI::App& command, std::string& method);

// Adds --hparams and --set.
void add_hparams_options(CLI::App& command, std::string& path, std::vector<std::string>& assignments);

}  // namespace anchorage::launch
