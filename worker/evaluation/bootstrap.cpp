#include "worker/evaluation/bootstrap.hpp"

#include <algorithm>
#include <cmath>
#include <vector>

#include "io/error.hpp"

namespace anchorage::worker {

std::size_t draw_below(std::size_t count, std::mt19937_64& random) {
  const auto bound = static_cast<std::uint64_t>(count);
  const std::uint64_t excess = (0 - bound) % bound;  // 2^64 mod count
  std::uint64_t drawn = random();
  while (drawn < excess) drawn = random();
  return static_cast<std::size_t>(drawn % bound);
}

std::optional<Interval> bootstrap(std::size_t units, const FigureOf& figure_of) {
  if (units < 2) return std::nullopt;
  std::seed_seq seed{0};
  std::mt19937_64 random(seed);
  std::vector<std::size_t> sample(units);
  std::vector<double> figures;
  for (int i = 0; i < resamples; ++i) {
    for (std::size_t& unit : sample) unit = draw_below(units, random);
    if (const auto figure = figure_of(sample); figure && std::isfinite(*figure)) figures.push_back(*figure);
  }
  if (2 * figures.size() < resamples) return std::nullopt;
  std::ranges::sort(figures);
  const std::size_t outside = figures.size() / 40;  // at each end
  return Interval{.low = figures[outside], .high = figures[figures.size() - 1 - outside]};
}

std::optional<Interval> bootstrap_mean(std::span<const double> values) {
  return bootstrap(values.size(), [&](std::span<const std::size_t> units) -> std::optional<double> {
    double sum = 0;
    for (const std::size_t unit : units) sum += values[unit];
    return sum / static_cast<double>(units.size());
  });
}

std::optional<Interval> bootstrap_ratio(std::span<const double> numerators, std::span<const double> denominators) {
  io::check(numerators.size() == denominators.size(), "a ratio of lists of different lengths");
  return bootstrap(numerators.size(), [&](std::span<const std::size_t> units) -> std::optional<double> {
    double numerator = 0, denominator = 0;
    for (const std::size_t unit : units) {
      numerator += numerators[unit];
      denominator += denominators[unit];
    }
    if (denominator == 0) return std::nullopt;
    return numerator / denominator;
  });
}

}  // namespace anchorage::worker
