// Figures of answers to questions with classes, with their standard errors.
#pragma once

#include <cstddef>
#include <cstdint>
#include <optional>
#include <span>

namespace anchorage::worker {

struct Estimate {
  double value = 0;
  double error = 0;  // standard error

  bool operator==(const Estimate&) const = default;
};

// Returns the mean, with its error, which is infinite for one value; nothing of no values.
std::optional<Estimate> mean_of(std::span<const double> values);

// Returns the area under the receiver operating characteristic: the probability that one of `positives` is larger
// than one of `negatives`, ties counted half, with the error of Hanley and McNeil (Radiology 143, 1982, eq. 2).
// Nothing where one of the classes is empty.
std::optional<Estimate> area_under_curve(std::span<const double> positives, std::span<const double> negatives);

// Predictions of two classes against the truth.
struct Confusion {
  std::int64_t true_positives = 0, false_positives = 0, true_negatives = 0, false_negatives = 0;
};

// Returns Matthews' correlation coefficient, -1 to 1 (Biochimica et Biophysica Acta 405, 1975); 0 where one class
// is never predicted or never true.
double matthews_correlation(const Confusion& confusion);

// Returns how much of what an estimate had above chance it still has. Nothing where it did not have two of its
// standard errors above chance before: at chance there is nothing to keep.
std::optional<double> kept_above_chance(const Estimate& before, const Estimate& now, double chance);

}  // namespace anchorage::worker
