// A text that stays as it is: whether an edit of a small random model succeeds depends on the statistics made of
// it.
#pragma once

#include <string>

#include "tests/support/places.hpp"

namespace anchorage::tests {

inline const std::string corpus = tests::source_path() + "/tests/support/general_text.txt";

}  // namespace anchorage::tests
