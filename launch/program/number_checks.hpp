// Checks numbers on the command line for what CLI11's own checks let pass: NaN, infinity, and numbers that do
// not fit their type, which CLI11 would clamp to the largest that fits.
#pragma once

#include <CLI/CLI.hpp>
#include <cstdint>
#include <limits>

namespace anchorage::launch {

// Accepts finite numbers above 0.
CLI::Validator number_above_zero();
// Accepts whole numbers from `least` to `most`.
CLI::Validator whole_number(std::int64_t least, std::int64_t most = std::numeric_limits<std::int64_t>::max());

inline constexpr std::int64_t most_edits = 1'000'000'000;  // per batch; what is computed from it does not overflow
inline constexpr std::int64_t most_ranks = 1'000'000;
inline constexpr std::int64_t most_threads = 4096;  // per rank

}  // namespace anchorage::launch
