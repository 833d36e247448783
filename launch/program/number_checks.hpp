// Checks of numbers on the command line that CLI11's own let pass: NaN, infinity, and what does not fit its type,
// which would be cut to the largest number that does.
#pragma once

#include <CLI/CLI.hpp>
#include <cstdint>
#include <limits>

namespace anchorage::launch {

// Finite and above 0.
CLI::Validator number_above_zero();
// From `least` to `most`.
CLI::Validator whole_number(std::int64_t least, std::int64_t most = std::numeric_limits<std::int64_t>::max());

inline constexpr std::int64_t most_edits = 1'000'000'000;  // a batch; what is reckoned from it stays in its type
inline constexpr std::int64_t most_ranks = 1'000'000;
inline constexpr std::int64_t most_threads = 4096;  // a rank

}  // namespace anchorage::launch
