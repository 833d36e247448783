// The program's log: spdlog to stderr, lines prefixed with the rank. Results go to stdout and never through here.
#pragma once

#include <spdlog/spdlog.h>

namespace anchorage::io {

enum class Verbosity { quiet, normal, verbose };

// Installs the default logger of this process. Ranks other than 0 log warnings and errors only, unless verbose.
void start_log(int rank, Verbosity verbosity);

}  // namespace anchorage::io
