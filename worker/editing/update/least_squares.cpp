#include "worker/editing/update/least_squares.hpp"

#include "io/error.hpp"

namespace anchorage::worker {
namespace {

// The largest drift of P that is tolerated.
constexpr double tolerated_drift = 1e-8;

// Lower Cholesky factor of I + K^T P K.
torch::Tensor factor_of_core(const torch::Tensor& keys, const torch::Tensor& inverse_times_keys) {
  const auto gram = at::mm(keys.t(), inverse_times_keys);
  const auto core = (gram + gram.t()) / 2 + torch::eye(keys.size(1), keys.options());
  const auto [lower, info] = at::linalg_cholesky_ex(core);
  if (info.item<int>() != 0) {
    throw io::UserError({.expected = "least squares that can be solved in f64",
                         .found = "an inverse second moment so large that a batch's keys are lost in its rounding",
                         .where = "",
                         .remedy = "raise mom2_update_weight (with alphaedit: L2)"});
  }
  return lower;
}

}  // namespace

KeyCovariance::KeyCovariance(torch::Tensor basis, torch::Tensor system)
    : basis_(std::move(basis)), system_(std::move(system)) {
  factor();
}

KeyCovariance::KeyCovariance(torch::Tensor basis, torch::Tensor system, torch::Tensor inverse)
    : basis_(std::move(basis)), system_(std::move(system)), inverse_(std::move(inverse)) {}

std::pair<torch::Tensor, torch::Tensor> KeyCovariance::tensors() const {
  io::check(!basis_.defined(), "the covariance of a null space stays where it is");
  return {system_, inverse_};
}

KeyCovariance KeyCovariance::from_tensors(torch::Tensor system, torch::Tensor inverse) {
  return {torch::Tensor(), std::move(system), std::move(inverse)};
}

void KeyCovariance::factor() {
  const auto [lower, info] = at::linalg_cholesky_ex(system_);
  if (info.item<int>() != 0) {
    throw io::UserError(
        {.expected = "a positive definite second moment of the keys",
         .found = fmt::format("one that is singular from row {} on", info.item<int>() - 1),
         .where = "",
         .remedy = fmt::format("collect statistics from more tokens, at least {} for {} dimensions, "
                               "or raise mom2_update_weight (with alphaedit: L2)",
                               10 * system_.size(0), system_.size(0))});
  }
  inverse_ = at::cholesky_inverse(lower).contiguous();
  if (inverse_.is_cuda()) inverse_ = (inverse_ + inverse_.t()) / 2;  // CUDA solves for each column separately
  if (basis_.defined()) inverse_ = at::mm(at::mm(basis_, inverse_), basis_.t());
}

KeyCovariance KeyCovariance::from_second_moment(const torch::Tensor& second_moment, double weight) {
  return {torch::Tensor(), second_moment.to(torch::kDouble) * weight};
}

KeyCovariance KeyCovariance::from_null_space(const torch::Tensor& second_moment, double threshold, double l2) {
  const auto [values, vectors] = at::linalg_eigh(second_moment.to(torch::kDouble));  // ascending
  const auto below = (values < threshold).sum().item<std::int64_t>();
  if (below == 0) {
    throw io::UserError(
        {.expected = fmt::format("eigenvalues of the second moment below nullspace_threshold {}", threshold),
         .found = fmt::format("none: the smallest is {:.3g}", values[0].item<double>()),
         .where = "",
         .remedy = "raise nullspace_threshold; it depends on the scale of the model's keys"});
  }
  return {vectors.narrow(1, 0, below).contiguous(), l2 * torch::eye(below, values.options())};
}

LowRankUpdate KeyCovariance::solve(const torch::Tensor& keys, const torch::Tensor& residuals) const {
  const auto k = keys.to(inverse_.options());
  const auto v = at::mm(inverse_, k);
  const auto transposed = at::cholesky_solve(residuals.to(inverse_.options()).t(), factor_of_core(k, v));
  return {.u = transposed.t(), .v = v};
}

void KeyCovariance::absorb(const torch::Tensor& keys) {
  const auto k = keys.to(inverse_.options());
  const auto v = at::mm(inverse_, k);
  const auto inside = basis_.defined() ? at::mm(basis_.t(), k) : k;  // N^T K
  // Makes new tensors, so that earlier states stay as they are.
  system_ = system_ + at::mm(inside, inside.t());
  inverse_ = inverse_ - at::mm(v, at::cholesky_solve(v.t(), factor_of_core(k, v)));
  inverse_ = (inverse_ + inverse_.t()) / 2;
  if (drift() > tolerated_drift) factor();
}

torch::Tensor KeyCovariance::directions_without(const torch::Tensor& keys) const {
  const auto k = keys.to(inverse_.options());
  const auto v = at::mm(inverse_, k);
  const auto gram = at::mm(k.t(), v);
  // I - K^T P K is positive definite for absorbed keys: P = (A' + K K^T)^-1 gives K^T P K = G' (I + G')^-1.
  const auto core = torch::eye(k.size(1), k.options()) - (gram + gram.t()) / 2;
  return at::linalg_solve(core, v.t()).t();
}

void KeyCovariance::release(const torch::Tensor& keys) {
  const auto k = keys.to(inverse_.options());
  const auto inside = basis_.defined() ? at::mm(basis_.t(), k) : k;  // N^T K
  inverse_ = inverse_ + at::mm(directions_without(k), at::mm(inverse_, k).t());
  inverse_ = (inverse_ + inverse_.t()) / 2;
  system_ = system_ - at::mm(inside, inside.t());
  if (drift() > tolerated_drift) factor();
}

void KeyCovariance::restore(torch::Tensor system, torch::Tensor inverse) {
  system_ = std::move(system);
  inverse_ = std::move(inverse);
}

double KeyCovariance::drift() const {
  // A fixed probe without special entries: the sines of the whole numbers.
  const auto probe = torch::arange(1, system_.size(0) + 1, system_.options()).sin();
  const auto through =
      basis_.defined() ? at::mv(basis_.t(), at::mv(inverse_, at::mv(basis_, probe))) : at::mv(inverse_, probe);
  return ((at::mv(system_, through) - probe).norm() / probe.norm()).item<double>();
}

}  // namespace anchorage::worker
