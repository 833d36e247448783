// Runs the steps that the program leaves to Python packages; it carries their scripts with it.
#pragma once

#include <nlohmann/json_fwd.hpp>
#include <string>

namespace anchorage::launch {

struct PythonResult {
  bool succeeded = false;
  std::string out;
  std::string reason;  // the last line of its errors, which in a failed Python program is the reason
};

// Runs a script, which reads the request as JSON, with the Python of the environment whose LibTorch the program
// links to, or with that of ANCHORAGE_PYTHON. Throws io::SystemError where there is none.
PythonResult run_python_step(const char* script, const nlohmann::json& request);

// Returns the folder of that environment.
std::string python_environment();

}  // namespace anchorage::launch
