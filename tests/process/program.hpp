// Runs the program as a user would: a shell command with its output and exit code.
#pragma once

#include <sys/wait.h>

#include <array>
#include <cstdio>
#include <cstdlib>
#include <filesystem>
#include <nlohmann/json.hpp>
#include <stdexcept>
#include <string>
#include <utility>

#include "tests/support/places.hpp"
#include "tests/support/temporary_directory.hpp"

namespace anchorage::tests {

struct Execution {
  int exit_code = -1;
  std::string out;
  std::string err;

  nlohmann::json json() const { return nlohmann::json::parse(out); }
};

// As a shell takes it, before the program's path. Open MPI 4's mpirun may die of SIGPIPE when it closes the
// connections of ranks that have ended well, unless it was started with that signal ignored (docs/cluster.md, "Exit
// code 141").
inline std::string mpirun(const std::string& options) {
  return "env --ignore-signal=PIPE mpirun " + options + " --bind-to none --oversubscribe ";
}

inline std::string mpirun(int ranks) {
  return mpirun("-n " + std::to_string(ranks));
}

// `arguments` as a shell takes them, after the program's path; on several ranks under mpirun. `gpus` as
// CUDA_VISIBLE_DEVICES has them: without any, so that a machine's GPUs change nothing of what a test expects.
class Program {
 public:
  explicit Program(const std::filesystem::path& scratch, std::string gpus = "")
      : scratch_(scratch), gpus_(std::move(gpus)) {}

  Execution operator()(const std::string& arguments, int ranks = 0) const {
    const std::string program = "'" + tests::program_path() + "' ";
    return shell((ranks == 0 ? "" : mpirun(ranks)) + program + arguments);
  }

  Execution shell(const std::string& command) const {
    const auto errors = scratch_ / "stderr.txt";
    const std::string whole = "cd '" + scratch_.string() +
                              "'; export OMPI_ALLOW_RUN_AS_ROOT=1 OMPI_ALLOW_RUN_AS_ROOT_CONFIRM=1 "
                              "OMPI_MCA_btl_vader_single_copy_mechanism=none CUDA_VISIBLE_DEVICES='" +
                              gpus_ + "'; " + command + " 2> '" + errors.string() + "'";
    FILE* pipe = ::popen(whole.c_str(), "r");
    if (pipe == nullptr) throw std::runtime_error("no shell");
    Execution execution;
    std::array<char, 4096> buffer;
    while (const std::size_t count = std::fread(buffer.data(), 1, buffer.size(), pipe))
      execution.out.append(buffer.data(), count);
    const int status = ::pclose(pipe);
    execution.exit_code = WIFEXITED(status) ? WEXITSTATUS(status) : 128 + WTERMSIG(status);
    execution.err = content_of(errors);
    return execution;
  }

 private:
  std::filesystem::path scratch_;
  std::string gpus_;
};

}  // namespace anchorage::tests
