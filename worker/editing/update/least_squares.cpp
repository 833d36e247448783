#include "worker/editing/update/least_squares.hpp"

#include <torch/utils.h>
#include <algorithm>
#include <cmath>
#include <tuple>

#include "io/error.hpp"
#include "worker/editing/update/slab_inverse.hpp"
#include "worker/freed_memory.hpp"

namespace anchorage::worker {
namespace {

// The largest drift of P that is tolerated.
constexpr double tolerated_drift = 1e-8;
// How far a drift must lie above that of a P just computed for computing it anew to help.
constexpr double worth_a_refresh = 4;
// Protected keys that are in memory at a time. Part of the bits.
constexpr std::int64_t protected_at_a_time = 256;

// Calls `use` with some of the protected keys after others: [n, f] f64.
template <class Use>
void for_protected_keys(const ProtectedKeyRows& protection, const torch::TensorOptions& options, const Use& use) {
  for (std::int64_t begin = 0; begin < protection.count; begin += protected_at_a_time) {
    const std::int64_t end = std::min(begin + protected_at_a_time, protection.count);
    use(protection.rows({begin, end}).to(options));
  }
}

// Returns I + sign * K^T P K, symmetric.
torch::Tensor core_of(const torch::Tensor& keys, const torch::Tensor& products, double sign) {
  const auto gram = at::mm(keys.t(), products);
  return torch::eye(keys.size(1), keys.options()) + sign * (gram + gram.t()) / 2;
}

// Returns the lower Cholesky factor of the core.
torch::Tensor factor_of_core(const torch::Tensor& keys, const torch::Tensor& products, double sign) {
  const auto [lower, info] = at::linalg_cholesky_ex(core_of(keys, products, sign));
  if (info.item<int>() != 0) {
    throw io::UserError({.expected = "least squares that can be solved in f64",
                         .found = "an inverse second moment so large that a batch's keys are lost in its rounding",
                         .where = "",
                         .remedy = "raise mom2_update_weight (with alphaedit: L2)"});
  }
  return lower;
}

}  // namespace

void KeyPrior::factor(torch::Device device, std::int64_t width) {
  std::tie(eigenvalues, eigenvectors) = at::linalg_eigh(moment({0, width}).to(device, torch::kDouble));
}

KeyCovariance::KeyCovariance(KeyPrior prior, SlabPlace place) : prior_(std::move(prior)), place_(std::move(place)) {
  io::check(place_.owners.size() == place_.rows.size(), "one owner a slab");
  refresh({});
}

torch::TensorOptions KeyCovariance::options() const {
  return torch::TensorOptions(place_.device).dtype(torch::kDouble);
}

// A fixed probe without special entries: the sines of the whole numbers.
torch::Tensor KeyCovariance::probe() const {
  return torch::arange(1, width() + 1, options()).sin();
}

void KeyCovariance::refresh(std::span<const KeyChange> changes) {
  waiting_.clear();
  if (prior_.null_space) {
    take_null_space();
    absorb_protected_keys();
    for (const KeyChange& change : changes) {
      replay(change);
      accept();
    }
  } else {
    take_second_moment(changes);
    invert(slabs_, place_);
  }
  return_freed_memory();
}

// Fills the slabs with A's rows, and makes its image of the probe.
void KeyCovariance::take_second_moment(std::span<const KeyChange> changes) {
  free_dimensions_ = width();
  probe_ = probe();
  image_ = torch::empty({width()}, options());
  for (std::size_t slab = 0; slab < place_.rows.size(); ++slab) {
    const sharding::Range& rows = place_.rows[slab];
    auto image = image_.narrow(0, rows.begin, rows.size());
    if (place_.owns(slab)) {
      auto& own = slabs_[slab];
      own = prior_.moment(rows).to(options(), /*non_blocking=*/false, /*copy=*/true).mul_(prior_.weight);
      const auto add = [&](const torch::Tensor& keys, double weight) {
        own.addmm_(keys.narrow(1, rows.begin, rows.size()).t(), keys, 1, weight);
      };
      for_protected_keys(prior_.protection, options(),
                         [&](const torch::Tensor& keys) { add(keys, prior_.protection.weight); });
      for (const KeyChange& change : changes) add(change.keys.to(options()), change.sign);
      image.copy_(at::mv(own, probe_));
    }
    place_.broadcast(image, slab, "broadcast the image of a probe");
  }
}

void KeyCovariance::take_null_space() {
  const int rank = place_.world == nullptr ? 0 : place_.world->rank();
  const int by = place_.world == nullptr ? 0 : prior_.factored_by;
  torch::Tensor basis;                        // N [f, r]
  auto found = torch::zeros({2}, options());  // columns, smallest eigenvalue
  if (rank == by) {
    if (!prior_.eigenvectors.defined()) prior_.factor(place_.device, width());
    found[0] = (prior_.eigenvalues < prior_.threshold).sum();
    found[1] = prior_.eigenvalues[0];
    basis = prior_.eigenvectors.narrow(1, 0, found[0].item<std::int64_t>()).contiguous();
    prior_.eigenvalues = prior_.eigenvectors = torch::Tensor();
  }
  if (place_.world != nullptr)
    place_.world->broadcast(found, by, "broadcast free dimensions",
                            sharding::Timeout::steps(prior_.factored_within));
  free_dimensions_ = found[0].item<std::int64_t>();
  if (free_dimensions_ == 0) {
    throw io::UserError(
        {.expected = fmt::format("eigenvalues of the second moment below nullspace_threshold {}", prior_.threshold),
         .found = fmt::format("none: the smallest is {:.3g}", found[1].item<double>()),
         .where = "",
         .remedy = "raise nullspace_threshold; it depends on the scale of the model's keys"});
  }
  for (std::size_t slab = 0; slab < place_.rows.size(); ++slab) {
    const sharding::Range& rows = place_.rows[slab];
    const int owner = place_.owners[slab];
    auto own = torch::empty({place_.owns(slab) || rank == by ? rows.size() : 0, width()}, options());
    if (rank == by) at::mm_out(own, basis.narrow(0, rows.begin, rows.size()), basis.t()).div_(prior_.l2);
    if (place_.world != nullptr && owner != by) {
      if (rank == by) place_.world->send(own, owner, "deal null spaces");
      if (rank == owner) place_.world->receive(own, by, "deal null spaces");
    }
    if (place_.owns(slab)) slabs_[slab] = own;
  }
  // N N^T x, which A = l2 I (on the null space) maps to l2 times itself.
  probe_ = prior_.l2 * products(probe().unsqueeze(1)).squeeze(1);
  image_ = prior_.l2 * probe_;
}

// A null space has no A to add them to.
void KeyCovariance::absorb_protected_keys() {
  const double length = std::sqrt(prior_.protection.weight);
  for_protected_keys(prior_.protection, options(), [&](const torch::Tensor& rows) {
    const auto keys = (length * rows).t();
    wait_for(keys, products(keys), 1);
    accept();
  });
}

torch::Tensor KeyCovariance::own_products(const torch::Tensor& keys) const {
  auto products = torch::empty({width(), keys.size(1)}, options());
  for (const auto& [slab, own] : slabs_) {
    const sharding::Range& rows = place_.rows[slab];
    auto part = products.narrow(0, rows.begin, rows.size());
    at::mm_out(part, own, keys);
    for (const Waiting& change : waiting_) {
      part.addmm_(change.factor.narrow(1, rows.begin, rows.size()).t(), at::mm(change.factor, keys), 1,
                  -change.sign);
    }
  }
  return products;
}

void KeyCovariance::share(const torch::Tensor& products) const {
  for (std::size_t slab = 0; slab < place_.rows.size(); ++slab) {
    const sharding::Range& rows = place_.rows[slab];
    place_.broadcast(products.narrow(0, rows.begin, rows.size()), slab, "broadcast products of slabs");
  }
}

torch::Tensor KeyCovariance::products(const torch::Tensor& keys) const {
  auto products = own_products(keys);
  share(products);
  return products;
}

LowRankUpdate KeyCovariance::solve(const torch::Tensor& keys, const torch::Tensor& residuals,
                                   const torch::Tensor& products) {
  const auto lower = factor_of_core(keys, products, 1);
  return {.u = at::cholesky_solve(residuals.to(keys.options()).t(), lower).t(), .v = products};
}

torch::Tensor KeyCovariance::directions_without(const torch::Tensor& keys, const torch::Tensor& products) {
  // I - K^T P K is positive definite for absorbed keys: P = (A' + K K^T)^-1 gives K^T P K = G' (I + G')^-1.
  return at::linalg_solve(core_of(keys, products, -1), products.t()).t();
}

void KeyCovariance::absorb(const torch::Tensor& keys, const torch::Tensor& products) {
  wait_for(keys, products, 1);
}

void KeyCovariance::release(const torch::Tensor& keys, const torch::Tensor& products) {
  wait_for(keys, products, -1);
}

void KeyCovariance::replay(const KeyChange& change) {
  const auto keys = change.keys.to(options()).t();
  wait_for(keys, products(keys), change.sign);
}

void KeyCovariance::wait_for(const torch::Tensor& keys, const torch::Tensor& products, double sign) {
  waiting_.push_back({.keys = keys, .factor = {}, .sign = sign});
  if (slabs_.empty()) return;
  waiting_.back().factor =
      at::linalg_solve_triangular(factor_of_core(keys, products, sign), products.t(), /*upper=*/false);
}

void KeyCovariance::accept() {
  for (const Waiting& change : waiting_) {
    for (auto& [slab, own] : slabs_) {
      const sharding::Range& rows = place_.rows[slab];
      own.addmm_(change.factor.narrow(1, rows.begin, rows.size()).t(), change.factor, 1, -change.sign);
    }
    image_ = image_ + change.sign * at::mv(change.keys, at::mv(change.keys.t(), probe_));
  }
  waiting_.clear();
}

std::map<std::size_t, double> KeyCovariance::squared_errors() const {
  std::map<std::size_t, double> squares;
  for (const auto& [slab, own] : slabs_) {
    const sharding::Range& rows = place_.rows[slab];
    const auto error = at::mv(own, image_) - probe_.narrow(0, rows.begin, rows.size());
    squares[slab] = error.square().sum().item<double>();
  }
  return squares;
}

double KeyCovariance::drift(double squares) const {
  return std::sqrt(squares) / probe_.norm().item<double>();
}

bool KeyCovariance::needs_refresh(double drift) const {
  return drift > std::max(tolerated_drift, worth_a_refresh * fresh_drift_);
}

void KeyCovariance::restore(const Carried& carried) {
  image_ = carried.image.to(options());
  fresh_drift_ = carried.fresh_drift;
  waiting_.clear();
}

void KeyCovariance::restore(std::size_t slab, const torch::Tensor& rows) {
  slabs_.at(slab).copy_(rows);
}

void KeyCovariance::move(std::size_t slab, int to) {
  constexpr std::string_view operation = "move a slab to its new owner";
  const int from = place_.owners[slab];
  io::check(waiting_.empty() && place_.world != nullptr, "a slab moves between two batches");
  if (place_.world->rank() == from) {
    place_.world->send(slabs_.at(slab), to, operation);
    slabs_.erase(slab);
  } else if (place_.world->rank() == to) {
    auto own = torch::empty({place_.rows[slab].size(), width()}, options());
    place_.world->receive(own, from, operation);
    slabs_[slab] = own;
  }
  place_.owners[slab] = to;
}

}  // namespace anchorage::worker
