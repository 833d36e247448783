#include "worker/editing/update/low_rank_change.hpp"

#include <algorithm>
#include <cmath>
#include <limits>
#include <utility>

#include "io/error.hpp"

namespace anchorage::worker {
namespace {

// The number of singular values that have to be kept for less than `tolerance` to be lost, as a norm.
std::int64_t rank_within(const torch::Tensor& values, double tolerance) {
  double lost = 0;
  std::int64_t rank = values.size(0);
  for (; rank > 0; --rank) {
    lost += std::pow(values[rank - 1].item<double>(), 2);
    if (std::sqrt(lost) > tolerance) break;
  }
  return rank;
}

}  // namespace

double SingularFactors::norm() const {
  return norm_beyond(0);
}

double SingularFactors::norm_beyond(std::int64_t kept) const {
  const auto first = std::min(kept, values.size(0));
  return values.narrow(0, first, values.size(0) - first).norm().item<double>();
}

SingularFactors::Product SingularFactors::product(std::int64_t width) const {
  const auto kept = std::min({width, rank, left.size(1)});
  const auto roots = values.narrow(0, 0, kept).sqrt();
  Product product{.b = torch::zeros({left.size(0), width}), .a = torch::zeros({width, right.size(0)})};
  product.b.narrow(1, 0, kept).copy_(left.narrow(1, 0, kept) * roots);
  product.a.narrow(0, 0, kept).copy_((right.narrow(1, 0, kept) * roots).t());
  return product;
}

void LowRankChange::add(const torch::Tensor& u, const torch::Tensor& v) {
  io::check(u.size(1) == v.size(1), "an update's factors have the same number of columns");
  const auto du = u.to(torch::kDouble), dv = v.to(torch::kDouble);
  squared_norms_ += (at::mm(du.t(), du) * at::mm(dv.t(), dv)).sum().item<double>();
  if (whole_.defined()) {
    whole_.addmm_(du, dv.t());
    return;
  }
  u_.push_back(du);
  v_.push_back(dv);
  columns_ += u.size(1);
  if (columns_ <= std::min(u.size(0), v.size(0))) return;
  whole_ = at::mm(at::cat(u_, 1), at::cat(v_, 1).t());
  u_.clear();
  v_.clear();
}

LowRankChange::Columns LowRankChange::all_columns() const {
  io::check(whole_.defined() || !u_.empty(), "a change consists of updates");
  if (!whole_.defined()) return {at::cat(u_, 1), at::cat(v_, 1)};
  // A matrix is a pair of factors too: itself and the identity on its smaller side.
  const auto [d, f] = std::pair(whole_.size(0), whole_.size(1));
  if (d <= f) return {at::eye(d, whole_.options()), whole_.t()};
  return {whole_, at::eye(f, whole_.options())};
}

SingularFactors LowRankChange::factors(std::int64_t most_columns) const {
  const Columns columns = all_columns();
  const auto [q, r] = at::linalg_qr(columns.u);
  const auto [p, s] = at::linalg_qr(columns.v);
  const auto [left, values, right] = at::linalg_svd(at::mm(r, s.t()), /*full_matrices=*/false);
  const double tolerance = std::numeric_limits<float>::epsilon() * std::sqrt(std::max(0.0, squared_norms_));
  const auto kept = std::min(most_columns, values.size(0));
  return {.left = at::mm(q, left.narrow(1, 0, kept)),
          .values = values,
          .right = at::mm(p, right.narrow(0, 0, kept).t()),
          .rank = rank_within(values, tolerance)};
}

}  // namespace anchorage::worker
