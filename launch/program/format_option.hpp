// --format: the form of a file of edits, where its fields do not tell it.
#pragma once

#include <CLI/CLI.hpp>
#include <optional>
#include <string>

namespace anchorage::launch {

// A name of io/edits/formats.hpp, or "auto".
void add_format_option(CLI::App& command, std::optional<std::string>& format);

}  // namespace anchorage::launch
