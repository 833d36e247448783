#include "worker/editing/least_squares.hpp"

#include "io/error.hpp"

namespace anchorage::worker {
namespace {

// Lower Cholesky factor of I + K^T P K.
torch::Tensor factor_of_core(const torch::Tensor& keys, const torch::Tensor& inverse_times_keys) {
  const auto gram = at::mm(keys.t(), inverse_times_keys);
  const auto core = (gram + gram.t()) / 2 + torch::eye(keys.size(1), keys.options());
  return at::linalg_cholesky(core);
}

}  // namespace

KeyMetric KeyMetric::from_second_moment(const torch::Tensor& second_moment, double weight) {
  const auto [factor, info] = at::linalg_cholesky_ex(second_moment.to(torch::kDouble) * weight);
  if (info.item<int>() != 0) {
    throw io::UserError({.expected = "a positive definite second moment of the keys",
                         .found = fmt::format("one that is singular from row {} on", info.item<int>() - 1),
                         .where = "",
                         .remedy = fmt::format("collect statistics from more tokens: at least {} for {} dimensions",
                                               10 * second_moment.size(0), second_moment.size(0))});
  }
  return KeyMetric(at::cholesky_inverse(factor));
}

KeyMetric KeyMetric::from_null_space(const torch::Tensor& second_moment, double threshold, double l2) {
  const auto [values, vectors] = at::linalg_eigh(second_moment.to(torch::kDouble));  // ascending
  const auto below = (values < threshold).sum().item<std::int64_t>();
  if (below == 0) {
    throw io::UserError(
        {.expected = fmt::format("eigenvalues of the second moment below nullspace_threshold {}", threshold),
         .found = fmt::format("none: the smallest is {:.3g}", values[0].item<double>()),
         .where = "",
         .remedy = "raise nullspace_threshold; it depends on the scale of the model's keys"});
  }
  const auto null_space = vectors.narrow(1, 0, below);
  return KeyMetric(at::mm(null_space, null_space.t()) / l2);
}

LowRankUpdate KeyMetric::solve(const torch::Tensor& keys, const torch::Tensor& residuals) const {
  const auto k = keys.to(inverse_.options());
  const auto v = at::mm(inverse_, k);
  const auto transposed = at::cholesky_solve(residuals.to(inverse_.options()).t(), factor_of_core(k, v));
  return {.u = transposed.t(), .v = v};
}

void KeyMetric::absorb(const torch::Tensor& keys) {
  const auto k = keys.to(inverse_.options());
  const auto v = at::mm(inverse_, k);
  inverse_ -= at::mm(v, at::cholesky_solve(v.t(), factor_of_core(k, v)));
  inverse_ = (inverse_ + inverse_.t()) / 2;
}

}  // namespace anchorage::worker
