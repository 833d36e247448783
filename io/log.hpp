// The program's log: spdlog writes to stderr, each line prefixed with the rank. Results go to stdout, never
// through the log.
#pragma once

#include <spdlog/spdlog.h>

namespace anchorage::io {

enum class Verbosity { quiet, normal, verbose };

// Installs the default logger of this process. Ranks other than 0 log warnings and errors only, unless verbose.
void start_log(int rank, Verbosity verbosity);

}  // namespace anchorage::io
