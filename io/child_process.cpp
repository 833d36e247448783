#include "io/child_process.hpp"

#include <spawn.h>
#include <sys/wait.h>
#include <unistd.h>

#include <algorithm>
#include <array>
#include <cerrno>
#include <csignal>
#include <cstdio>
#include <memory>
#include <mutex>
#include <utility>

#include "io/error.hpp"

extern char** environ;

namespace anchorage::io {
namespace {

// The environment of this process without what is left out.
std::vector<char*> environment_without(const std::vector<std::string>& left_out) {
  std::vector<char*> variables;
  for (char** variable = environ; *variable != nullptr; ++variable) {
    const std::string_view text(*variable);
    const auto begins_it = [&](const std::string& prefix) { return text.starts_with(prefix); };
    if (std::ranges::none_of(left_out, begins_it)) variables.push_back(*variable);
  }
  variables.push_back(nullptr);
  return variables;
}

}  // namespace

// A file without a name: it passes input and output of any size, and neither process waits for the other.
class ChildProcess::Stream {
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

struct ChildProcess::Running {
  Stream in{}, out{}, err{};
  std::mutex mutex{};
  bool own_group = false;
  pid_t process = 0;  // 0 once it has been waited for, when the number may be another process's
};

ChildProcess::ChildProcess(const std::vector<std::string>& command, std::string_view input,
                           const ChildOptions& options)
    : running_(std::make_unique<Running>()) {
  running_->in.fill(input);
  running_->own_group = options.own_group;
  std::vector<char*> arguments;
  for (const std::string& argument : command) arguments.push_back(const_cast<char*>(argument.c_str()));
  arguments.push_back(nullptr);
  auto variables = environment_without(options.left_out);

  posix_spawn_file_actions_t actions;
  posix_spawn_file_actions_init(&actions);
  posix_spawn_file_actions_adddup2(&actions, running_->in.descriptor(), STDIN_FILENO);
  posix_spawn_file_actions_adddup2(&actions, running_->out.descriptor(), STDOUT_FILENO);
  posix_spawn_file_actions_adddup2(&actions, running_->err.descriptor(), STDERR_FILENO);
  posix_spawn_file_actions_addclosefrom_np(&actions, STDERR_FILENO + 1);
  posix_spawnattr_t attributes;
  posix_spawnattr_init(&attributes);
  if (options.own_group) posix_spawnattr_setflags(&attributes, POSIX_SPAWN_SETPGROUP);
  const int error = ::posix_spawn(&running_->process, arguments.front(), &actions, &attributes, arguments.data(),
                                  variables.data());
  posix_spawnattr_destroy(&attributes);
  posix_spawn_file_actions_destroy(&actions);
  if (error == 0) return;
  running_->process = 0;
  throw SystemError::from_errno(error, "start", command.front());
}

ChildProcess::~ChildProcess() {
  if (running_->process == 0) return;
  kill();
  ::waitpid(running_->process, nullptr, 0);
}

// Its end is waited for first and its number given back after that, so that `kill` never means another process.
ChildResult ChildProcess::wait() {
  siginfo_t ended{};
  while (::waitid(P_PID, static_cast<id_t>(running_->process), &ended, WEXITED | WNOWAIT) < 0) {
    if (errno != EINTR) throw SystemError::from_errno(errno, "wait for", "a child process");
  }
  int status = 0;
  {
    const std::scoped_lock lock(running_->mutex);
    ::waitpid(std::exchange(running_->process, 0), &status, 0);
  }
  return {.exit_code = WIFEXITED(status) ? WEXITSTATUS(status) : 128 + WTERMSIG(status),
          .out = running_->out.content(),
          .err = running_->err.content()};
}

void ChildProcess::kill() {
  const std::scoped_lock lock(running_->mutex);
  if (running_->process > 0) ::kill(running_->own_group ? -running_->process : running_->process, SIGKILL);
}

ChildResult run_child(const std::vector<std::string>& command, std::string_view input) {
  return ChildProcess(command, input).wait();
}

}  // namespace anchorage::io
