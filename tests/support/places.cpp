#include "tests/support/places.hpp"

namespace anchorage::tests {

std::string source_path() {
  return ANCHORAGE_SOURCE_DIR;
}

std::string build_path() {
  return ANCHORAGE_BUILD_DIR;
}

std::string program_path() {
  return build_path() + "/anchorage";
}

std::string golden_path() {
  return build_path() + "/golden";
}

std::string python_path() {
  return ANCHORAGE_PYTHON "/bin/python3";
}

}  // namespace anchorage::tests
