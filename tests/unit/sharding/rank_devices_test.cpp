#include "sharding/rank_devices.hpp"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "io/error.hpp"
#include "tests/support/message_of.hpp"

namespace anchorage::sharding {
namespace {

using testing::AllOf;
using testing::HasSubstr;

std::string rejection_of(const std::vector<RankDevice>& ranks) {
  return tests::message_of<io::UserError>([&] { check_rank_devices(ranks); });
}

TEST(RankDevices, AllOnTheCpuOrEachOnAGpuOfItsOwn) {
  EXPECT_NO_THROW(check_rank_devices({}));
  EXPECT_NO_THROW(check_rank_devices(std::vector<RankDevice>{{"a", ""}, {"a", ""}}));
  EXPECT_NO_THROW(check_rank_devices(std::vector<RankDevice>{{"a", "0"}, {"a", "1"}, {"b", "0"}}));
}

TEST(RankDevices, TwoRanksOnOneGpu) {
  EXPECT_THAT(rejection_of({{"a", "0000:3b:00.0"}, {"b", "0000:3b:00.0"}, {"b", "0000:3b:00.0"}}),
              AllOf(HasSubstr("ranks 1 and 2 on GPU 0000:3b:00.0"), HasSubstr("in b"), HasSubstr("--device cpu")));
}

TEST(RankDevices, SomeRanksWithoutAGpu) {
  EXPECT_THAT(
      rejection_of({{"a", "0"}, {"b", ""}, {"c", ""}}),
      AllOf(HasSubstr("none on 2 of 3 ranks, rank 1 the first"), HasSubstr("in b"), HasSubstr("nvidia-smi")));
}

}  // namespace
}  // namespace anchorage::sharding
