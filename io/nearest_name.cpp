#include "io/nearest_name.hpp"

#include <algorithm>
#include <numeric>
#include <vector>

#include "io/error.hpp"

namespace anchorage::io {
namespace {

std::size_t levenshtein(std::string_view a, std::string_view b) {
  std::vector<std::size_t> row(b.size() + 1);  // distances of a[0, i) to every prefix of b
  std::iota(row.begin(), row.end(), std::size_t{0});
  for (std::size_t i = 0; i < a.size(); ++i) {
    std::size_t diagonal = row[0];
    row[0] = i + 1;
    for (std::size_t j = 0; j < b.size(); ++j) {
      const std::size_t replaced = diagonal + (a[i] == b[j] ? 0 : 1);
      diagonal = row[j + 1];
      row[j + 1] = std::min({replaced, diagonal + 1, row[j] + 1});
    }
  }
  return row.back();
}

}  // namespace

NearestName nearest_name(std::string_view word, std::span<const std::string_view> known) {
  check(!known.empty(), "no known names");
  NearestName best{.name = known.front(), .distance = levenshtein(word, known.front())};
  for (const std::string_view name : known.subspan(1)) {
    const std::size_t distance = levenshtein(word, name);
    if (distance < best.distance) best = {.name = name, .distance = distance};
  }
  return best;
}

}  // namespace anchorage::io
