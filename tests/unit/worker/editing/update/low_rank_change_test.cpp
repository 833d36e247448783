#include "worker/editing/update/low_rank_change.hpp"

#include <gtest/gtest.h>
#include <torch/utils.h>

namespace anchorage::worker {
namespace {

constexpr std::int64_t tall = 12, wide = 31;

struct Update {
  torch::Tensor u, v;
};

std::vector<Update> random_updates(std::initializer_list<std::int64_t> ranks) {
  torch::manual_seed(1);
  std::vector<Update> updates;
  for (const std::int64_t rank : ranks) updates.push_back({torch::randn({tall, rank}), torch::randn({wide, rank})});
  return updates;
}

// The sum, multiplied out in f64.
torch::Tensor multiplied_out(const std::vector<Update>& updates) {
  auto sum = torch::zeros({tall, wide}, torch::kDouble);
  for (const Update& update : updates) sum.addmm_(update.u.to(torch::kDouble), update.v.t().to(torch::kDouble));
  return sum;
}

SingularFactors factors_of(const std::vector<Update>& updates) {
  LowRankChange change;
  for (const Update& update : updates) change.add(update.u, update.v);
  return change.factors();
}

torch::Tensor multiplied(const SingularFactors::Product& product) {
  return at::mm(product.b.to(torch::kDouble), product.a.to(torch::kDouble));
}

// Three columns, as many as the smaller side, and more than both.
class LowRankChangeTest : public testing::TestWithParam<std::vector<Update>> {};

TEST_P(LowRankChangeTest, MultipliesToTheDenseChange) {
  const auto factors = factors_of(GetParam());
  const auto whole = multiplied_out(GetParam());
  EXPECT_LT((multiplied(factors.product(16)) - whole).norm().item<double>(), 1e-6 * whole.norm().item<double>());
  EXPECT_NEAR(factors.norm(), whole.norm().item<double>(), 1e-12 * factors.norm());
}

TEST_P(LowRankChangeTest, LosesByTruncationWhatTheDenseDecompositionDoes) {
  const auto factors = factors_of(GetParam());
  const auto whole = multiplied_out(GetParam());
  const auto values = at::linalg_svdvals(whole);
  for (const std::int64_t rank : {1, 2, 5}) {
    const double lost = values.narrow(0, rank, tall - rank).norm().item<double>();
    EXPECT_NEAR(factors.norm_beyond(rank), lost, 1e-12 * factors.norm());
    EXPECT_NEAR((multiplied(factors.product(rank)) - whole).norm().item<double>(), lost, 1e-6 * factors.norm());
  }
}

INSTANTIATE_TEST_SUITE_P(Columns, LowRankChangeTest,
                         testing::Values(random_updates({1, 2}), random_updates({4, 4, 4}),
                                         random_updates({10, 10, 3, 12})));

TEST(LowRankChange, HasTheRankOfItsColumnsOrOfTheWeight) {
  EXPECT_EQ(factors_of(random_updates({1, 2})).rank, 3);
  EXPECT_EQ(factors_of(random_updates({10, 10})).rank, tall);
}

TEST(LowRankChange, OfAnEditThatWasRemovedHasTheRankOfTheOthers) {
  auto updates = random_updates({2, 1});
  updates.push_back({-updates[0].u * 3.0F, updates[0].v / 3.0F});  // rounded apart from what it removes
  EXPECT_EQ(factors_of(updates).rank, 1);
}

TEST(LowRankChange, PadsWithZerosWhatIsNotNeeded) {
  const auto product = factors_of(random_updates({2})).product(8);
  EXPECT_EQ(product.b.sizes(), torch::IntArrayRef({tall, 8}));
  EXPECT_EQ(product.a.sizes(), torch::IntArrayRef({8, wide}));
  EXPECT_EQ(product.b.narrow(1, 2, 6).abs().max().item<float>(), 0);
  EXPECT_EQ(product.a.narrow(0, 2, 6).abs().max().item<float>(), 0);
}

TEST(LowRankChange, KeepsTheColumnsThatAreAskedFor) {
  LowRankChange change;
  for (const auto& update : random_updates({6})) change.add(update.u, update.v);
  const auto all = change.factors(), some = change.factors(2);
  EXPECT_EQ(some.left.size(1), 2);
  EXPECT_EQ(some.rank, 6);
  EXPECT_TRUE(at::equal(some.product(2).b, all.product(2).b));
  EXPECT_DOUBLE_EQ(some.norm_beyond(2), all.norm_beyond(2));
}

}  // namespace
}  // namespace anchorage::worker
