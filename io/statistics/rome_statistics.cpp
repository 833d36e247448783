#include "io/statistics/rome_statistics.hpp"

#include <algorithm>
#include <cmath>

#include "io/error.hpp"
#include "io/statistics/npz.hpp"

namespace anchorage::io {
namespace {

// A sum in 32 bits that was computed in parts differs from its transpose by rounding.
constexpr double symmetry_tolerance = 1e-3;  // of the geometric mean of the two diagonal entries

[[noreturn]] void refuse_statistics(const std::string& expected, const std::string& found,
                                    const std::filesystem::path& path) {
  throw UserError(
      {.expected = expected,
       .found = found,
       .where = path.string(),
       .remedy = "take the statistics of this model and layer, or collect them with `anchorage stats`"});
}

void require_second_moment(const NpyArray& sum, std::int64_t size, const std::filesystem::path& path) {
  const auto n = static_cast<std::size_t>(size);
  for (std::size_t i = 0; i < n; ++i) {
    for (std::size_t j = 0; j <= i; ++j) {
      const double value = sum.values[i * n + j], mirrored = sum.values[j * n + i];
      const double scale = std::sqrt(std::max(sum.values[i * n + i] * sum.values[j * n + j], 0.0));
      if (std::isfinite(value) && std::abs(value - mirrored) <= symmetry_tolerance * scale) continue;
      refuse_statistics("a finite symmetric matrix",
                        fmt::format("{} at [{}, {}] and {} at [{}, {}]", value, i, j, mirrored, j, i), path);
    }
  }
}

}  // namespace

ImportedMoment import_rome_statistics(const std::filesystem::path& path, std::int64_t layer, std::int64_t size) {
  const NpzFile file(path);
  for (const std::string name : {"mom2.mom2", "mom2.count"}) {
    if (!file.contains(name))
      refuse_statistics("ROME's statistics with mom2.mom2 and mom2.count", "no " + name, path);
  }
  const NpyArray count = file.read("mom2.count"), sum = file.read("mom2.mom2");
  if (count.values.size() != 1 || !(count.values[0] >= 1) || !std::isfinite(count.values[0])) {
    const std::string found = count.values.size() == 1 ? fmt::format("{}", count.values[0])
                                                       : fmt::format("{} numbers", count.values.size());
    refuse_statistics("a number of at least one token in mom2.count", found, path);
  }
  if (sum.shape != std::vector<std::int64_t>{size, size}) {
    const std::string found = sum.shape.size() == 2 ? fmt::format("[{}, {}]", sum.shape[0], sum.shape[1])
                                                    : fmt::format("{} dimensions", sum.shape.size());
    refuse_statistics(fmt::format("second moments [{0}, {0}], as the model's d_ff is", size), found, path);
  }
  require_second_moment(sum, size, path);
  SecondMoment moment{.layer = layer, .moment = {.rows = size, .columns = size, .values = {}}};
  moment.moment.values.reserve(sum.values.size());
  for (const double value : sum.values) moment.moment.values.push_back(static_cast<float>(value / count.values[0]));
  return {.moment = std::move(moment), .tokens = static_cast<std::int64_t>(count.values[0])};
}

}  // namespace anchorage::io
