#include "worker/editing/update/least_squares.hpp"

#include <gmock/gmock.h>
#include <gtest/gtest.h>
#include <torch/utils.h>

#include "io/error.hpp"
#include "tests/unit/worker/model/golden_model.hpp"

namespace anchorage::worker {
namespace {

using testing::AllOf;
using testing::Gt;
using testing::Lt;
using tests::expect_close;

constexpr std::int64_t d = 7, f = 24;

torch::Tensor random(std::initializer_list<std::int64_t> shape) {
  return torch::randn(shape, torch::kDouble);
}

torch::Tensor second_moment() {
  const auto keys = random({f, 5 * f});
  return at::mm(keys, keys.t()) / (5 * f);
}

torch::Tensor dense(const LowRankUpdate& update) {
  return at::mm(update.u, update.v.t());
}

// dW = R K^T (A + K K^T)^-1 by a dense solve.
torch::Tensor dense_solution(const torch::Tensor& a, const torch::Tensor& keys, const torch::Tensor& residuals) {
  return at::linalg_solve(a + at::mm(keys, keys.t()), at::mm(keys, residuals.t())).t();
}

class LeastSquares : public testing::Test {
 protected:
  void SetUp() override { torch::manual_seed(1); }
};

TEST_F(LeastSquares, WoodburyFormEqualsTheDenseSolve) {
  const auto c = second_moment(), keys = random({f, 5}), residuals = random({d, 5});
  const auto covariance = KeyCovariance::from_second_moment(c, 30.0);
  expect_close(dense(covariance.solve(keys, residuals)), dense_solution(30.0 * c, keys, residuals), 1e-12);
}

TEST_F(LeastSquares, AbsorbedKeysStandInTheInverse) {
  const auto c = second_moment(), first = random({f, 4}), second = random({f, 3});
  auto covariance = KeyCovariance::from_second_moment(c, 10.0);
  covariance.absorb(first);
  covariance.absorb(second);
  const auto a = 10.0 * c + at::mm(first, first.t()) + at::mm(second, second.t());
  expect_close(covariance.inverse(), at::linalg_inv(a), 1e-11);
}

// The equivalence of sequential and one-time editing (arXiv 2605.26670): a second batch solved after the absorbed
// keys of the first, for what the first has left of the targets, ends where one batch of all edits ends.
TEST_F(LeastSquares, TwoBatchesBehindEachOtherEqualOneBigBatch) {
  const auto c = second_moment(), keys = random({f, 9}), targets = random({d, 9});
  const auto whole = dense(KeyCovariance::from_second_moment(c, 20.0).solve(keys, targets));
  auto covariance = KeyCovariance::from_second_moment(c, 20.0);
  const auto first_keys = keys.narrow(1, 0, 4), second_keys = keys.narrow(1, 4, 5);
  auto weight = dense(covariance.solve(first_keys, targets.narrow(1, 0, 4)));
  covariance.absorb(first_keys);
  weight = weight + dense(covariance.solve(second_keys, targets.narrow(1, 4, 5) - at::mm(weight, second_keys)));
  expect_close(weight, whole, 1e-11);
}

// The drift of P by rounding over many batches is detected, and corrected only sometimes, since a
// factorization is O(f^3). Keys like those of general text need no correction; far larger keys that are all
// alike need some.
TEST_F(LeastSquares, TheInverseStaysAccurateOverFiveHundredBatches) {
  const auto factored_anew = [](const KeyCovariance& covariance) {
    return at::equal(covariance.inverse(), KeyCovariance::from_second_moment(covariance.system(), 1.0).inverse());
  };
  struct Case {
    double weight, length, spread, tolerance;
    testing::Matcher<int> factorizations;
  };
  for (const Case& one : {Case{20, 1, 1, 1e-11, 0}, Case{1e-2, 50, 1e-3, 1e-7, AllOf(Gt(0), Lt(400))}}) {
    const auto c = second_moment(), direction = random({f, 1});
    auto covariance = KeyCovariance::from_second_moment(c, one.weight);
    auto a = one.weight * c;
    int factorizations = 0;
    for (int batch = 0; batch < 500; ++batch) {
      const auto keys = one.length * (direction + one.spread * random({f, 3}));
      covariance.absorb(keys);
      a = a + at::mm(keys, keys.t());
      ASSERT_LT(covariance.drift(), one.tolerance) << "batch " << batch;
      factorizations += factored_anew(covariance) ? 1 : 0;
    }
    const auto fresh = at::linalg_inv(a);
    EXPECT_LT(((covariance.inverse() - fresh).norm() / fresh.norm()).item<double>(), one.tolerance);
    EXPECT_THAT(factorizations, one.factorizations);
  }
}

TEST_F(LeastSquares, AStateThatWasKeptIsUntouchedByWhatIsAbsorbedLater) {
  auto covariance = KeyCovariance::from_second_moment(second_moment(), 10.0);
  const KeyCovariance kept = covariance;
  const auto inverse = covariance.inverse().clone();
  covariance.absorb(random({f, 4}));
  EXPECT_TRUE(at::equal(kept.inverse(), inverse));
  EXPECT_FALSE(at::equal(covariance.inverse(), inverse));
}

// What a checkpoint holds, and what a new owner is sent.
TEST_F(LeastSquares, ACopyOfItsMatricesGoesOnWithTheSameBits) {
  constexpr std::int64_t width = 160;
  const auto general = random({width, 4 * width}), first = random({width, 3}), second = random({width, 2});
  auto covariance = KeyCovariance::from_second_moment(at::mm(general, general.t()), 1.0);
  covariance.absorb(first);
  const auto [system, inverse] = covariance.tensors();
  EXPECT_TRUE(system.is_contiguous() && inverse.is_contiguous());
  const auto row_by_row = [](const torch::Tensor& tensor) {
    return torch::empty(tensor.sizes(), tensor.options()).copy_(tensor);
  };
  auto copy = KeyCovariance::from_tensors(row_by_row(system), row_by_row(inverse));
  for (KeyCovariance* each : {&covariance, &copy}) {
    each->absorb(second);
    each->release(first);
  }
  EXPECT_TRUE(at::equal(copy.inverse(), covariance.inverse()));
  EXPECT_TRUE(at::equal(copy.directions_without(second), covariance.directions_without(second)));
}

TEST_F(LeastSquares, NullSpaceUpdateLeavesTheKeptDirectionsAlone) {
  // A second moment with four directions that carry nothing.
  const auto basis = std::get<0>(at::linalg_qr(random({f, f})));
  auto values = torch::linspace(1, 2, f, torch::kDouble);
  values.narrow(0, 0, 4).fill_(1e-5);
  const auto c = at::mm(basis * values, basis.t());
  const auto covariance = KeyCovariance::from_null_space(c, 0.02, 10.0);
  const auto keys = random({f, 3}), residuals = random({d, 3});
  const auto update = dense(covariance.solve(keys, residuals));
  expect_close(at::mm(update, basis.narrow(1, 4, f - 4)), torch::zeros({d, f - 4}, torch::kDouble), 1e-12);

  // AlphaEdit's own form: R K^T P (K K^T P + L2 I)^-1.
  const auto p = at::mm(basis.narrow(1, 0, 4), basis.narrow(1, 0, 4).t());
  const auto system = at::mm(p, at::mm(keys, keys.t())) + 10.0 * torch::eye(f, torch::kDouble);
  expect_close(update, at::linalg_solve(system, at::mm(p, at::mm(keys, residuals.t()))).t(), 1e-11);
}

TEST_F(LeastSquares, SingularSecondMomentIsRefusedWithTheTokensItNeeds) {
  const auto keys = random({f, f / 2});
  try {
    KeyCovariance::from_second_moment(at::mm(keys, keys.t()), 1.0);
    FAIL() << "no error";
  } catch (const io::UserError& error) {
    EXPECT_NE(std::string(error.what()).find("more tokens, at least 240"), std::string::npos) << error.what();
  }
}

TEST_F(LeastSquares, ThresholdBelowEveryEigenvalueIsRefused) {
  EXPECT_THROW(KeyCovariance::from_null_space(second_moment(), 1e-9, 10.0), io::UserError);
}

}  // namespace
}  // namespace anchorage::worker
