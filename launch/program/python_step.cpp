#include "launch/program/python_step.hpp"

#include <cstdlib>
#include <nlohmann/json.hpp>

#include "io/child_process.hpp"

namespace anchorage::launch {
namespace {

std::string last_line(std::string text) {
  while (text.ends_with('\n')) text.pop_back();
  return text.substr(text.rfind('\n') + 1);
}

}  // namespace

std::string python_environment() {
  const char* given = std::getenv("ANCHORAGE_PYTHON");
  return given != nullptr ? given : ANCHORAGE_PYTHON;
}

PythonResult run_python_step(const char* script, const nlohmann::json& request) {
  auto result = io::run_child({python_environment() + "/bin/python3", "-c", script}, request.dump());
  return {.succeeded = result.exit_code == 0, .out = std::move(result.out), .reason = last_line(result.err)};
}

}  // namespace anchorage::launch
