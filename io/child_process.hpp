// Runs other programs and captures their output.
#pragma once

#include <memory>
#include <string>
#include <string_view>
#include <vector>

namespace anchorage::io {

struct ChildResult {
  int exit_code = 0;  // 128 + N where signal N ended it
  std::string out;
  std::string err;
};

class ChildProcess {
 public:
  // Starts `command` (a path, then its arguments; no shell) with `input` as its standard input. It inherits the
  // environment without the variables whose names begin with one of `left_out`. Throws SystemError where it cannot
  // be started.
  ChildProcess(const std::vector<std::string>& command, std::string_view input,
               const std::vector<std::string>& left_out = {});
  // Kills it unless it has been waited for.
  ~ChildProcess();
  ChildProcess(const ChildProcess&) = delete;
  ChildProcess& operator=(const ChildProcess&) = delete;

  // Waits for its end. Call it once.
  ChildResult wait();
  // Kills it; nothing where it has ended. Any thread.
  void kill();

 private:
  class Stream;
  struct Running;
  std::unique_ptr<Running> running_;
};

// Starts a command, as ChildProcess does, and waits for its end.
ChildResult run_child(const std::vector<std::string>& command, std::string_view input);

}  // namespace anchorage::io
