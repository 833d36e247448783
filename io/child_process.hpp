// Runs another program and captures its output.
#pragma once

#include <string>
#include <string_view>
#include <vector>

namespace anchorage::io {

struct ChildResult {
  int exit_code = 0;  // 128 + N where signal N ended it
  std::string out;
  std::string err;
};

// Starts `command` (a path, then its arguments; no shell) with `input` as its standard input and waits for its end.
// Throws SystemError where it cannot be started.
ChildResult run_child(const std::vector<std::string>& command, std::string_view input);

}  // namespace anchorage::io
