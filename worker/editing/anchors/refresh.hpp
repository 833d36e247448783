// Rolling anchor refresh (RAR): how the anchors of earlier batches influence the selection of the next
// (docs/method.md section 5).
//
//   H_l <- decay * H_l + (1 - decay) * sum_i(S[i, l, :] * M[i, l, :]) / b           after a committed batch
//   S   <- S / (1 + strength * H_l / mean(H))                                       in the next batch's selection
//
// The selection takes a dimension that carries earlier edits only where a new edit really needs it; as H
// decays the dimension becomes free again. The sum over edits is taken in 64-bit fixed point: exact, so the
// same in any order and over any number of ranks.
#pragma once

#include <cstdint>
#include <span>
#include <vector>

namespace anchorage::worker {

// Sums the scores of one batch's anchors by layer and dimension [m * d]. The scores of an edit sum to at most
// 1, so 2^20 edits fit.
class AnchorScores {
 public:
  explicit AnchorScores(std::int64_t entries) : sums_(static_cast<std::size_t>(entries)) {}

  void add(std::uint32_t entry, float score);

  // Returns the fixed-point sums, to be reduced over ranks (HostCommunicator::all_reduce_sum).
  [[nodiscard]] std::span<std::int64_t> sums() { return sums_; }
  [[nodiscard]] double sum(std::size_t entry) const;

 private:
  std::vector<std::int64_t> sums_;
};

// How a layer's active anchors changed: the dimensions whose rolling score is positive and at least the
// layer's mean.
struct AnchorChange {
  std::int64_t kept = 0;
  std::int64_t entered = 0;
  std::int64_t left = 0;

  bool operator==(const AnchorChange&) const = default;
};

class RollingScores {
 public:
  // m edited layers of d dimensions; decay in [0, 1], strength >= 0.
  RollingScores(std::int64_t layers, std::int64_t width, double decay, double strength);

  // Returns the factor by which each entry's score is multiplied before the selection: [m * d], 1 while H is
  // zero.
  [[nodiscard]] std::vector<float> factors() const;

  // Updates H with a committed batch of `edits`; returns the change of each layer.
  std::vector<AnchorChange> roll(const AnchorScores& scores, std::int64_t edits);

  // Returns H of the edited layer at index `layer` [d], as the journal keeps it.
  [[nodiscard]] std::span<const double> of_layer(std::int64_t layer) const;
  void restore(std::int64_t layer, std::span<const double> scores);

  bool operator==(const RollingScores&) const = default;

 private:
  [[nodiscard]] std::vector<bool> active(std::int64_t layer) const;

  std::int64_t layers_;
  std::int64_t width_;
  double decay_;
  double strength_;
  std::vector<double> scores_;  // [m * d]
};

}  // namespace anchorage::worker
