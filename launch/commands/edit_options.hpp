// The options that `edit` and `serve` share.
#pragma once

#include <CLI/CLI.hpp>

#include "launch/commands/edit_plan.hpp"

namespace anchorage::launch {

// Adds what a run depends on. The options are those of the command, which keeps them.
void add_run_options(CLI::App& command, EditOptions& options);

// Adds --token-file.
void add_token_file_option(CLI::App& command, EditOptions& options);

}  // namespace anchorage::launch
