// Finds the known name that a mistyped one most likely stands for.
#pragma once

#include <cstddef>
#include <span>
#include <string_view>

namespace anchorage::io {

struct NearestName {
  std::string_view name;
  std::size_t distance;  // insertions, deletions and replacements of single bytes (Levenshtein)
};

// Returns the nearest name in `known`, the first of equals. `known` must not be empty.
NearestName nearest_name(std::string_view word, std::span<const std::string_view> known);

}  // namespace anchorage::io
