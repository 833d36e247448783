#include "worker/editing/anchors/refresh.hpp"

#include <algorithm>
#include <cmath>
#include <numeric>

#include "io/error.hpp"

namespace anchorage::worker {
namespace {

constexpr double fixed_point = 1099511627776.0;  // 2^40

double mean(std::span<const double> values) {
  return std::accumulate(values.begin(), values.end(), 0.0) / static_cast<double>(values.size());
}

}  // namespace

void AnchorScores::add(std::uint32_t entry, float score) {
  sums_[entry] += std::llround(static_cast<double>(score) * fixed_point);
}

double AnchorScores::sum(std::size_t entry) const {
  return static_cast<double>(sums_[entry]) / fixed_point;
}

RollingScores::RollingScores(std::int64_t layers, std::int64_t width, double decay, double strength)
    : layers_(layers),
      width_(width),
      decay_(decay),
      strength_(strength),
      scores_(static_cast<std::size_t>(layers * width)) {}

std::vector<float> RollingScores::factors() const {
  std::vector<float> factors(scores_.size(), 1.0F);
  const double average = mean(scores_);
  if (average <= 0) return factors;
  std::ranges::transform(scores_, factors.begin(),
                         [&](double score) { return static_cast<float>(1 / (1 + strength_ * score / average)); });
  return factors;
}

std::vector<AnchorChange> RollingScores::roll(const AnchorScores& scores, std::int64_t edits) {
  std::vector<std::vector<bool>> before;
  for (std::int64_t layer = 0; layer < layers_; ++layer) before.push_back(active(layer));
  if (edits > 0) {
    for (std::size_t entry = 0; entry < scores_.size(); ++entry) {
      scores_[entry] = decay_ * scores_[entry] + (1 - decay_) * scores.sum(entry) / static_cast<double>(edits);
    }
  }
  std::vector<AnchorChange> changes(before.size());
  for (std::size_t layer = 0; layer < before.size(); ++layer) {
    const auto after = active(static_cast<std::int64_t>(layer));
    for (std::size_t dimension = 0; dimension < after.size(); ++dimension) {
      const bool was = before[layer][dimension], is = after[dimension];
      changes[layer].kept += was && is;
      changes[layer].entered += !was && is;
      changes[layer].left += was && !is;
    }
  }
  return changes;
}

std::span<const double> RollingScores::of_layer(std::int64_t layer) const {
  return std::span(scores_).subspan(static_cast<std::size_t>(layer * width_), static_cast<std::size_t>(width_));
}

void RollingScores::restore(std::int64_t layer, std::span<const double> scores) {
  io::check(std::ssize(scores) == width_, "a rolling score a dimension");
  std::ranges::copy(scores, scores_.begin() + layer * width_);
}

std::vector<bool> RollingScores::active(std::int64_t layer) const {
  const auto scores = of_layer(layer);
  const double average = mean(scores);
  std::vector<bool> is_active(scores.size());
  for (std::size_t i = 0; i < scores.size(); ++i) is_active[i] = scores[i] > 0 && scores[i] >= average;
  return is_active;
}

}  // namespace anchorage::worker
