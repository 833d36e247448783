// Where tests find the source tree and what was built. Functions, so that only places.cpp is compiled anew for a
// tree that lies elsewhere: a compiler's cache has the rest.
#pragma once

#include <string>

namespace anchorage::tests {

std::string source_path();
std::string build_path();

// The program, the folder of golden values, and the interpreter that has the Python packages.
std::string program_path();
std::string golden_path();
std::string python_path();

}  // namespace anchorage::tests
