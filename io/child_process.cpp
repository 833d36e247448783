#include "io/child_process.hpp"

#include <spawn.h>
#include <sys/wait.h>
#include <unistd.h>

#include <array>
#include <cerrno>
#include <cstdio>
#include <memory>

#include "io/error.hpp"

extern char** environ;

namespace anchorage::io {
namespace {

// A file without a name: it passes input and output of any size, and neither process waits for the other.
class Stream {
 public:
  Stream() : file_(std::tmpfile(), &std::fclose) {
    if (!file_) throw SystemError::from_errno(errno, "create a temporary file", "the folder for temporary files");
  }

  int descriptor() const { return ::fileno(file_.get()); }

  void fill(std::string_view text) const {
    const bool written = std::fwrite(text.data(), 1, text.size(), file_.get()) == text.size();
    if (!written || std::fflush(file_.get()) != 0)
      throw SystemError::from_errno(errno, "write", "a temporary file");
    std::rewind(file_.get());
  }

  std::string content() const {
    std::rewind(file_.get());
    std::string text;
    std::array<char, 1 << 16> buffer;
    while (const std::size_t count = std::fread(buffer.data(), 1, buffer.size(), file_.get())) {
      text.append(buffer.data(), count);
    }
    return text;
  }

 private:
  std::unique_ptr<std::FILE, int (*)(std::FILE*)> file_;
};

int wait_for(pid_t child) {
  int status = 0;
  while (::waitpid(child, &status, 0) < 0) {
    if (errno != EINTR) throw SystemError::from_errno(errno, "wait for", "a child process");
  }
  return WIFEXITED(status) ? WEXITSTATUS(status) : 128 + WTERMSIG(status);
}

}  // namespace

ChildResult run_child(const std::vector<std::string>& command, std::string_view input) {
  const Stream in, out, err;
  in.fill(input);
  std::vector<char*> arguments;
  for (const std::string& argument : command) arguments.push_back(const_cast<char*>(argument.c_str()));
  arguments.push_back(nullptr);

  posix_spawn_file_actions_t actions;
  posix_spawn_file_actions_init(&actions);
  posix_spawn_file_actions_adddup2(&actions, in.descriptor(), STDIN_FILENO);
  posix_spawn_file_actions_adddup2(&actions, out.descriptor(), STDOUT_FILENO);
  posix_spawn_file_actions_adddup2(&actions, err.descriptor(), STDERR_FILENO);
  pid_t child = 0;
  const int error = ::posix_spawn(&child, arguments.front(), &actions, nullptr, arguments.data(), environ);
  posix_spawn_file_actions_destroy(&actions);
  if (error != 0) throw SystemError::from_errno(error, "start", command.front());
  const int exit_code = wait_for(child);
  return {.exit_code = exit_code, .out = out.content(), .err = err.content()};
}

}  // namespace anchorage::io
