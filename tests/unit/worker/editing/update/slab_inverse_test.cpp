#include "worker/editing/update/slab_inverse.hpp"

#include <gtest/gtest.h>

#include "tests/support/thread_communicator.hpp"
#include "tests/unit/worker/model/golden_model.hpp"

namespace anchorage::worker {
namespace {

constexpr std::int64_t inverse_rows = 29;

torch::Tensor positive_definite() {
  const auto root = torch::randn({inverse_rows, 2 * inverse_rows}, torch::kDouble);
  return at::mm(root, root.t()) / (2 * inverse_rows);
}

std::map<std::size_t, torch::Tensor> slabs_of(const torch::Tensor& matrix, const SlabPlace& place) {
  std::map<std::size_t, torch::Tensor> slabs;
  for (std::size_t slab = 0; slab < place.rows.size(); ++slab) {
    if (place.owns(slab)) slabs[slab] = place.rows_of(matrix, slab).clone();
  }
  return slabs;
}

torch::Tensor inverse_of(const torch::Tensor& matrix, std::int64_t most_rows) {
  const auto place = SlabPlace::alone(inverse_rows, most_rows);
  auto slabs = slabs_of(matrix, place);
  invert(slabs, place);
  std::vector<torch::Tensor> rows;
  for (const auto& [slab, own] : slabs) rows.push_back(own);
  return at::cat(rows);
}

// One slab, an even and an odd number of them, of uneven sizes.
class SlabInverse : public testing::TestWithParam<std::int64_t> {
 protected:
  void SetUp() override { torch::manual_seed(7); }
};
INSTANTIATE_TEST_SUITE_P(RowsOfASlab, SlabInverse, testing::Values(inverse_rows, 15, 10, 4));

TEST_P(SlabInverse, IsTheInverse) {
  const auto matrix = positive_definite();
  tests::expect_close(inverse_of(matrix, GetParam()), at::linalg_inv(matrix), 1e-12);
}

// So half of the operations are enough.
TEST_P(SlabInverse, ReadsOneOfTwoBlocksThatMirrorEachOther) {
  const auto place = SlabPlace::alone(inverse_rows, GetParam());
  const auto matrix = positive_definite(), expected = inverse_of(matrix, GetParam());
  std::int64_t unread = 0;
  for (std::size_t row = 0; row < place.rows.size(); ++row) {
    for (std::size_t of = 0; of < place.rows.size(); ++of) {
      if (row == of) continue;
      const auto changed = matrix.clone();
      place.columns_of(place.rows_of(changed, row), of).add_(1e-3);
      unread += at::equal(inverse_of(changed, GetParam()), expected);
    }
  }
  const auto slabs = std::ssize(place.rows);
  EXPECT_EQ(unread, slabs * (slabs - 1) / 2);
}

TEST_P(SlabInverse, BlocksThatMirrorEachOtherHaveTheSameBits) {
  const auto place = SlabPlace::alone(inverse_rows, GetParam());
  const auto inverse = inverse_of(positive_definite(), GetParam());
  for (std::size_t row = 0; row < place.rows.size(); ++row) {
    for (std::size_t of = 0; of < row; ++of) {
      EXPECT_TRUE(at::equal(place.columns_of(place.rows_of(inverse, row), of),
                            place.columns_of(place.rows_of(inverse, of), row).t()));
    }
  }
}

TEST_P(SlabInverse, IsTheSameBitsWhereverTheSlabsLie) {
  const auto matrix = positive_definite(), expected = inverse_of(matrix, GetParam());
  for (const int ranks : {2, 3, 4}) {
    tests::run_thread_world(ranks, [&](sharding::HostCommunicator& world) {
      torch::set_num_threads(1);
      const auto device = sharding::make_device_communicator(world, torch::kCPU);
      SlabPlace place = SlabPlace::alone(inverse_rows, GetParam());
      place.world = device.get();
      for (std::size_t slab = 0; slab < place.owners.size(); ++slab)  // some next to each other, some apart
        place.owners[slab] = static_cast<int>(slab * slab % 7) % ranks;
      auto slabs = slabs_of(matrix, place);
      invert(slabs, place);
      for (const auto& [slab, own] : slabs) EXPECT_TRUE(at::equal(own, place.rows_of(expected, slab)));
    });
  }
}

}  // namespace
}  // namespace anchorage::worker
