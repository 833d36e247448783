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

struct ChildOptions {
  std::vector<std::string> left_out{};  // how names of variables begin that it does not inherit
  bool own_group = false;  // it and what it starts are a process group: signals to this one's do not reach them
};

class ChildProcess {
 public:
  // Starts `command` (a path, then its arguments; no shell) with `input` as its standard input. It inherits the
  // environment, and no file but the three standard ones. Throws SystemError where it cannot be started.
  ChildProcess(const std::vector<std::string>& command, std::string_view input, const ChildOptions& options = {});
  // Kills it unless it has been waited for.
  ~ChildProcess();
  ChildProcess(const ChildProcess&) = delete;
  ChildProcess& operator=(const ChildProcess&) = delete;

  // Waits for its end. Call it once.
  ChildResult wait();
  // Kills it, with its own group; nothing where it has ended. Any thread.
  void kill();

 private:
  class Stream;
  struct Running;
  std::unique_ptr<Running> running_;
};

// Starts a command, as ChildProcess does, and waits for its end.
ChildResult run_child(const std::vector<std::string>& command, std::string_view input);

}  // namespace anchorage::io
