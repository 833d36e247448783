#include "worker/evaluation/classification.hpp"

#include <algorithm>
#include <cmath>
#include <limits>
#include <numeric>
#include <vector>

namespace anchorage::worker {

std::optional<Estimate> mean_of(std::span<const double> values) {
  if (values.empty()) return std::nullopt;
  const auto n = static_cast<double>(values.size());
  const double mean = std::accumulate(values.begin(), values.end(), 0.0) / n;
  double squares = 0;
  for (const double value : values) squares += (value - mean) * (value - mean);
  return Estimate{
      .value = mean,
      .error = values.size() < 2 ? std::numeric_limits<double>::infinity() : std::sqrt(squares / (n - 1) / n)};
}

std::optional<Estimate> area_under_curve(std::span<const double> positives, std::span<const double> negatives) {
  if (positives.empty() || negatives.empty()) return std::nullopt;
  std::vector<double> sorted(negatives.begin(), negatives.end());
  std::ranges::sort(sorted);
  double won = 0;
  for (const double positive : positives) {
    const auto [first, last] = std::ranges::equal_range(sorted, positive);
    won += static_cast<double>(first - sorted.begin()) + 0.5 * static_cast<double>(last - first);
  }
  const auto m = static_cast<double>(positives.size()), n = static_cast<double>(negatives.size());
  const double area = won / (m * n);
  // Of two positives both are larger than a negative, and a positive is larger than two negatives.
  const double two_positives = area / (2 - area), two_negatives = 2 * area * area / (1 + area);
  const double variance =
      (area * (1 - area) + (m - 1) * (two_positives - area * area) + (n - 1) * (two_negatives - area * area)) /
      (m * n);
  return Estimate{.value = area, .error = std::sqrt(std::max(0.0, variance))};
}

double matthews_correlation(const Confusion& confusion) {
  const auto tp = static_cast<double>(confusion.true_positives),
             fp = static_cast<double>(confusion.false_positives);
  const auto tn = static_cast<double>(confusion.true_negatives),
             fn = static_cast<double>(confusion.false_negatives);
  const double squared = (tp + fp) * (tp + fn) * (tn + fp) * (tn + fn);
  return squared == 0 ? 0 : (tp * tn - fp * fn) / std::sqrt(squared);
}

std::optional<double> kept_above_chance(const Estimate& before, const Estimate& now, double chance) {
  const double above = before.value - chance;
  if (above <= 2 * before.error) return std::nullopt;
  return (now.value - chance) / above;
}

}  // namespace anchorage::worker
