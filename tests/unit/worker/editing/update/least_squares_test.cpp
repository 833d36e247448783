#include "worker/editing/update/least_squares.hpp"

#include <gmock/gmock.h>
#include <gtest/gtest.h>
#include <torch/utils.h>

#include "io/error.hpp"
#include "tests/support/message_of.hpp"
#include "tests/support/thread_communicator.hpp"
#include "tests/unit/worker/editing/update/whole_inverse.hpp"
#include "tests/unit/worker/model/golden_model.hpp"

namespace anchorage::worker {
namespace {

using testing::AllOf;
using testing::Gt;
using testing::Lt;
using tests::expect_close;

constexpr std::int64_t d_model = 7, d_ff = 24;

torch::Tensor random_matrix(std::initializer_list<std::int64_t> shape) {
  return torch::randn(shape, torch::kDouble);
}

torch::Tensor second_moment() {
  const auto keys = random_matrix({d_ff, 5 * d_ff});
  return at::mm(keys, keys.t()) / (5 * d_ff);
}

torch::Tensor dense_update(const LowRankUpdate& update) {
  return at::mm(update.u, update.v.t());
}

// dW = R K^T (A + K K^T)^-1 by a dense solve.
torch::Tensor dense_solution(const torch::Tensor& a, const torch::Tensor& keys, const torch::Tensor& residuals) {
  return at::linalg_solve(a + at::mm(keys, keys.t()), at::mm(keys, residuals.t())).t();
}

// The covariance of one rank, whose batches are accepted at once.
class Local {
 public:
  Local(KeyPrior prior, std::int64_t width, std::int64_t most_rows)
      : covariance_(std::move(prior), SlabPlace::alone(width, most_rows)) {}

  torch::Tensor solve(const torch::Tensor& keys, const torch::Tensor& residuals) const {
    return dense_update(KeyCovariance::solve(keys, residuals, covariance_.products(keys)));
  }
  void absorb(const torch::Tensor& keys) {
    covariance_.absorb(keys, covariance_.products(keys));
    covariance_.accept();
  }
  void release(const torch::Tensor& keys) {
    covariance_.release(keys, covariance_.products(keys));
    covariance_.accept();
  }
  double drift() const {
    double sum = 0;
    for (const auto& [slab, squares] : covariance_.squared_errors()) sum += squares;
    return covariance_.drift(sum);
  }
  torch::Tensor inverse() const { return tests::whole_inverse(covariance_); }
  KeyCovariance& operator*() { return covariance_; }
  KeyCovariance* operator->() { return &covariance_; }

 private:
  KeyCovariance covariance_;
};

KeyPrior second_moment_prior(const torch::Tensor& c, double weight) {
  return {.moment = [c](sharding::Range rows) { return c.narrow(0, rows.begin, rows.size()); }, .weight = weight};
}

KeyPrior null_space_prior(const torch::Tensor& c, double threshold, double l2) {
  KeyPrior prior = second_moment_prior(c, 1);
  prior.null_space = true;
  prior.threshold = threshold;
  prior.l2 = l2;
  return prior;
}

// Protects the columns of keys [f, n], which are f32 in a run.
KeyPrior with_protection(KeyPrior prior, const torch::Tensor& keys, double weight) {
  const auto rows = keys.t().to(torch::kFloat).contiguous();
  prior.protection = {.count = rows.size(0),
                      .rows = [rows](sharding::Range part) { return rows.narrow(0, part.begin, part.size()); },
                      .weight = weight};
  return prior;
}

torch::Tensor protected_sum(const torch::Tensor& keys, double weight) {
  const auto k = keys.to(torch::kFloat).to(torch::kDouble);
  auto sum = torch::zeros({d_ff, d_ff}, torch::kDouble);
  for (std::int64_t i = 0; i < k.size(1); ++i) sum += weight * at::outer(k.select(1, i), k.select(1, i));
  return sum;
}

// With one, two, and many slabs of rows, the last ones short.
class LeastSquares : public testing::TestWithParam<std::int64_t> {
 protected:
  void SetUp() override { torch::manual_seed(1); }
  static Local covariance(const torch::Tensor& c, double weight) {
    return {second_moment_prior(c, weight), c.size(0), GetParam()};
  }
};

INSTANTIATE_TEST_SUITE_P(RowsOfASlab, LeastSquares, testing::Values(d_ff, 13, 5));

TEST_P(LeastSquares, TheSlabsTogetherAreTheInverse) {
  const auto c = second_moment();
  const auto found = covariance(c, 30.0);
  expect_close(found.inverse(), at::linalg_inv(30.0 * c), 1e-13);
  EXPECT_LT(found.drift(), 1e-12);
}

TEST_P(LeastSquares, WoodburyFormEqualsTheDenseSolve) {
  const auto c = second_moment(), keys = random_matrix({d_ff, 5}), residuals = random_matrix({d_model, 5});
  expect_close(covariance(c, 30.0).solve(keys, residuals), dense_solution(30.0 * c, keys, residuals), 1e-12);
}

TEST_P(LeastSquares, AbsorbedKeysStandInTheInverse) {
  const auto c = second_moment(), first = random_matrix({d_ff, 4}), second = random_matrix({d_ff, 3});
  auto found = covariance(c, 10.0);
  found.absorb(first);
  found.absorb(second);
  const auto a = 10.0 * c + at::mm(first, first.t()) + at::mm(second, second.t());
  expect_close(found.inverse(), at::linalg_inv(a), 1e-11);
}

// The equivalence of sequential and one-time editing (arXiv 2605.26670): a second batch solved after the absorbed
// keys of the first, for what the first has left of the targets, ends where one batch of all edits ends.
TEST_P(LeastSquares, TwoBatchesBehindEachOtherEqualOneBigBatch) {
  const auto c = second_moment(), keys = random_matrix({d_ff, 9}), targets = random_matrix({d_model, 9});
  const auto whole = covariance(c, 20.0).solve(keys, targets);
  auto found = covariance(c, 20.0);
  const auto first_keys = keys.narrow(1, 0, 4), second_keys = keys.narrow(1, 4, 5);
  auto weight = found.solve(first_keys, targets.narrow(1, 0, 4));
  found.absorb(first_keys);
  weight = weight + found.solve(second_keys, targets.narrow(1, 4, 5) - at::mm(weight, second_keys));
  expect_close(weight, whole, 1e-11);
}

// A removal and the write after it, as where an edit takes another's place: products see what waits, the slabs do
// not, and accepting it gives the bits of a replay, which accepts one after the other.
TEST_P(LeastSquares, WhatWaitsIsSeenByProductsAndByNothingElse) {
  const auto c = second_moment(), old = random_matrix({d_ff, 4}), fresh = random_matrix({d_ff, 3}),
             asked = random_matrix({d_ff, 2});
  auto found = covariance(c, 10.0), one_by_one = covariance(c, 10.0);
  for (Local* each : {&found, &one_by_one}) each->absorb(old);
  const auto before = found.inverse();
  const auto gone = old.narrow(1, 1, 2);
  found->release(gone, found->products(gone));
  found->absorb(fresh, found->products(fresh));
  EXPECT_TRUE(at::equal(found.inverse(), before));
  const auto a = 10.0 * c + at::mm(old, old.t()) - at::mm(gone, gone.t()) + at::mm(fresh, fresh.t());
  expect_close(found->products(asked), at::linalg_solve(a, asked), 1e-11);
  found->discard();
  EXPECT_TRUE(at::equal(found->products(asked), at::mm(before, asked)));

  found.release(gone);
  found.absorb(fresh);
  expect_close(found.inverse(), at::linalg_inv(a), 1e-11);
  EXPECT_LT(found.drift(), 1e-12);
}

// The drift of P by rounding over many batches is detected, and corrected only sometimes, since an inversion is
// O(f^3). Keys like those of general text need no correction; far larger keys that are all alike need some.
TEST_P(LeastSquares, TheInverseStaysAccurateOverFiveHundredBatches) {
  struct Case {
    double weight, length, spread, tolerance;
    testing::Matcher<int> refreshes;
  };
  for (const Case& one : {Case{20, 1, 1, 1e-11, 0}, Case{1e-2, 50, 1e-3, 1e-7, AllOf(Gt(0), Lt(400))}}) {
    const auto c = second_moment(), direction = random_matrix({d_ff, 1});
    auto found = covariance(c, one.weight);
    found->refreshed_at(found.drift());
    auto a = one.weight * c;
    std::vector<KeyChange> changes;
    int refreshes = 0;
    for (int batch = 0; batch < 500; ++batch) {
      const auto keys = one.length * (direction + one.spread * random_matrix({d_ff, 3}));
      found.absorb(keys);
      changes.push_back({.keys = keys.t(), .sign = 1});
      a = a + at::mm(keys, keys.t());
      if (found->needs_refresh(found.drift())) {
        found->refresh(changes);
        found->refreshed_at(found.drift());
        ++refreshes;
      }
      ASSERT_LT(found.drift(), one.tolerance) << "batch " << batch;
    }
    const auto fresh = at::linalg_inv(a);
    EXPECT_LT(((found.inverse() - fresh).norm() / fresh.norm()).item<double>(), one.tolerance);
    EXPECT_THAT(refreshes, one.refreshes);
  }
}

TEST_P(LeastSquares, ARefreshTakesOutWhatWasReleased) {
  const auto c = second_moment(), first = random_matrix({d_ff, 4}), second = random_matrix({d_ff, 3});
  auto found = covariance(c, 10.0);
  found->refresh(std::vector<KeyChange>{{first.t(), 1}, {second.t(), 1}, {first.t(), -1}});
  expect_close(found.inverse(), at::linalg_inv(10.0 * c + at::mm(second, second.t())), 1e-11);
  EXPECT_LT(found.drift(), 1e-11);
}

// What a checkpoint holds.
TEST_P(LeastSquares, ACopyOfItsSlabsGoesOnWithTheSameBits) {
  const auto c = second_moment(), first = random_matrix({d_ff, 3}), second = random_matrix({d_ff, 2});
  auto found = covariance(c, 1.0), copy = covariance(c, 1.0);
  found.absorb(first);
  for (const auto& [slab, rows] : found->slabs()) copy->restore(slab, rows.clone());
  copy->restore(found->carried());
  for (Local* each : {&found, &copy}) {
    each->absorb(second);
    each->release(first);
  }
  EXPECT_TRUE(at::equal(copy.inverse(), found.inverse()));
  EXPECT_EQ(copy.drift(), found.drift());
}

// More keys than are in memory at a time, and few.
TEST_P(LeastSquares, ProtectedKeysStandInTheInverseWithTheirWeightAlsoWhenItIsMadeAnew) {
  for (const std::int64_t count : {5, 700}) {
    const auto c = second_moment(), keys = random_matrix({d_ff, count}), absorbed = random_matrix({d_ff, 3});
    Local found(with_protection(second_moment_prior(c, 10.0), keys, 30.0), d_ff, GetParam());
    const auto a = 10.0 * c + protected_sum(keys, 30.0);
    expect_close(found.inverse(), at::linalg_inv(a), 1e-11);
    EXPECT_LT(found.drift(), 1e-12);
    const auto first = found.inverse().clone();
    found->refresh({});
    EXPECT_TRUE(at::equal(found.inverse(), first)) << "made anew";
    found.absorb(absorbed);
    const auto expected = at::linalg_inv(a + at::mm(absorbed, absorbed.t()));
    expect_close(found.inverse(), expected, 1e-11);
    found->refresh(std::vector<KeyChange>{{absorbed.t(), 1}});
    expect_close(found.inverse(), expected, 1e-11);
  }
}

// In the null space N: P = N (l2 I + N^T (weight sum of k k^T) N)^-1 N^T.
TEST_P(LeastSquares, ProtectedKeysStandInTheInverseOnANullSpace) {
  for (const std::int64_t count : {3, 300}) {
    const auto c = second_moment(), keys = random_matrix({d_ff, count});
    Local found(with_protection(null_space_prior(c, 1.0, 3.0), keys, 30.0), d_ff, GetParam());
    const auto [values, vectors] = at::linalg_eigh(c);
    const auto free = values.lt(1.0).sum().item<std::int64_t>();
    ASSERT_EQ(found->free_dimensions(), free);
    const auto n = vectors.narrow(1, 0, free);
    const auto inner = 3.0 * torch::eye(free, torch::kDouble) + at::mm(n.t(), at::mm(protected_sum(keys, 30.0), n));
    const auto expected = at::mm(n, at::mm(at::linalg_inv(inner), n.t()));
    expect_close(found.inverse(), expected, 1e-10);
    EXPECT_LT(found.drift(), 1e-9);
    const auto first = found.inverse().clone();
    found->refresh({});
    EXPECT_TRUE(at::equal(found.inverse(), first)) << "made anew";
  }
}

TEST_P(LeastSquares, AnUpdateLeavesProtectedKeysAloneTheMoreTheLargerTheirWeight) {
  const auto c = second_moment(), kept = random_matrix({d_ff, 4}), keys = random_matrix({d_ff, 3}),
             residuals = random_matrix({d_model, 3});
  for (const bool null_space : {false, true}) {
    const auto prior = [&] { return null_space ? null_space_prior(c, 1.0, 3.0) : second_moment_prior(c, 5.0); };
    const auto effect = [&](KeyPrior of) {
      const auto update = Local(std::move(of), d_ff, GetParam()).solve(keys, residuals);
      EXPECT_GT(at::mm(update, keys).norm().item<double>(), 0.1 * residuals.norm().item<double>());
      return at::mm(update, kept.to(torch::kFloat).to(torch::kDouble)).norm().item<double>();
    };
    const double without = effect(prior()), some = effect(with_protection(prior(), kept, 10.0)),
                 large = effect(with_protection(prior(), kept, 1e6));
    EXPECT_LT(some, 0.5 * without) << null_space;
    EXPECT_LT(large, 1e-4 * without) << null_space;
  }
}

// Slabs on two and three ranks, some of which hold none: the bits of one rank, also after slabs have moved.
TEST_P(LeastSquares, AreTheSameBitsOnAnyNumberOfRanks) {
  const auto c = second_moment(), first = random_matrix({d_ff, 3}), second = random_matrix({d_ff, 2}),
             asked = random_matrix({d_ff, 2});
  const auto kept = random_matrix({d_ff, 260});  // more than are in memory at a time
  for (const bool null_space : {false, true}) {
    const auto prior = [&] {
      return with_protection(null_space ? null_space_prior(c, 1.0, 3.0) : second_moment_prior(c, 5.0), kept, 0.2);
    };
    Local alone(prior(), d_ff, GetParam());
    alone.absorb(first);
    alone.absorb(second);
    alone.release(first);
    const auto products = alone->products(asked);
    for (const int ranks : {2, 3}) {
      tests::run_thread_world(ranks, [&](sharding::HostCommunicator& world) {
        torch::set_num_threads(1);
        const auto device = sharding::make_device_communicator(world, torch::kCPU);
        SlabPlace place = SlabPlace::alone(d_ff, GetParam());
        place.world = device.get();
        for (std::size_t slab = 0; slab < place.owners.size(); ++slab)
          place.owners[slab] = static_cast<int>(slab) % ranks;
        KeyPrior shared = prior();
        shared.factored_by = 1;
        KeyCovariance covariance(std::move(shared), std::move(place));
        const auto take = [&](const torch::Tensor& keys, double sign) {
          const auto of_keys = covariance.products(keys);
          sign > 0 ? covariance.absorb(keys, of_keys) : covariance.release(keys, of_keys);
          covariance.accept();
        };
        take(first, 1);
        take(second, 1);
        covariance.move(0, ranks - 1);
        take(first, -1);
        EXPECT_TRUE(at::equal(covariance.products(asked), products)) << ranks;
        for (const auto& [slab, rows] : covariance.slabs())
          EXPECT_TRUE(at::equal(rows, alone->slabs().at(slab))) << "slab " << slab << " on " << ranks << " ranks";
        EXPECT_EQ(covariance.free_dimensions(), alone->free_dimensions());
      });
    }
  }
}

TEST_P(LeastSquares, NullSpaceUpdateLeavesTheKeptDirectionsAlone) {
  // A second moment with four directions that carry nothing.
  const auto basis = std::get<0>(at::linalg_qr(random_matrix({d_ff, d_ff})));
  auto values = torch::linspace(1, 2, d_ff, torch::kDouble);
  values.narrow(0, 0, 4).fill_(1e-5);
  const auto c = at::mm(basis * values, basis.t());
  Local found(null_space_prior(c, 0.02, 10.0), d_ff, GetParam());
  const auto keys = random_matrix({d_ff, 3}), residuals = random_matrix({d_model, 3});
  const auto update = found.solve(keys, residuals);
  expect_close(at::mm(update, basis.narrow(1, 4, d_ff - 4)), torch::zeros({d_model, d_ff - 4}, torch::kDouble),
               1e-12);

  // AlphaEdit's own form: R K^T P (K K^T P + L2 I)^-1.
  const auto p = at::mm(basis.narrow(1, 0, 4), basis.narrow(1, 0, 4).t());
  const auto system = at::mm(p, at::mm(keys, keys.t())) + 10.0 * torch::eye(d_ff, torch::kDouble);
  expect_close(update, at::linalg_solve(system, at::mm(p, at::mm(keys, residuals.t()))).t(), 1e-11);

  found.absorb(keys);
  EXPECT_LT(found.drift(), 1e-12);
  const auto absorbed = found.inverse();
  found->refresh(std::vector<KeyChange>{{keys.t(), 1}});
  expect_close(found.inverse(), absorbed, 1e-12);
}

TEST_P(LeastSquares, SingularSecondMomentIsRefusedWithTheTokensItNeeds) {
  const auto keys = random_matrix({d_ff, d_ff / 2});
  EXPECT_THAT(tests::message_of([&] { covariance(at::mm(keys, keys.t()), 1.0); }),
              testing::HasSubstr("more tokens, at least 240"));
}

TEST_P(LeastSquares, ThresholdBelowEveryEigenvalueIsRefused) {
  EXPECT_THROW(Local(null_space_prior(second_moment(), 1e-9, 10.0), d_ff, GetParam()), io::UserError);
}

}  // namespace
}  // namespace anchorage::worker
