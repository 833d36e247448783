#include "sharding/collective/nccl_communicator.hpp"

#include <gmock/gmock.h>
#include <gtest/gtest.h>
#include <torch/cuda.h>

#include "io/error.hpp"
#include "tests/support/thread_communicator.hpp"

namespace anchorage::sharding {
namespace {

TEST(NcclCommunicator, WithoutAGpuEveryRankIsToldByNcclWhatIsMissing) {
  if (torch::cuda::is_available()) GTEST_SKIP() << "there is a GPU: tests/gpu runs NCCL";
  tests::run_thread_world(2, [](HostCommunicator& world) {
    try {
      (void)make_device_communicator(world, torch::Device("cuda:0"));
      ADD_FAILURE() << "no error";
    } catch (const CollectiveError& error) {
      EXPECT_EQ(error.operation(), "connect NCCL");
      EXPECT_THAT(error.what(),
                  testing::HasSubstr("ncclCommInitRankConfig on rank " + std::to_string(world.rank())));
    }
  });
}

// On a rank alone: two in one process overwrite each other's.
TEST(NcclCommunicator, ItsErrorsHaveNcclsLastWords) {
  if (torch::cuda::is_available()) GTEST_SKIP() << "there is a GPU: tests/gpu runs NCCL";
  try {
    (void)make_nccl_communicator(std::move(tests::thread_world(1)[0]), torch::Device("cuda:0"));
    ADD_FAILURE() << "no error";
  } catch (const CollectiveError& error) {
    EXPECT_THAT(error.what(), testing::HasSubstr("(Cuda failure '"));
  }
}

TEST(NcclCommunicator, CpuIsRefusedByName) {
  EXPECT_THROW((void)make_nccl_communicator(std::move(tests::thread_world(1)[0]), torch::kCPU), io::InternalError);
}

TEST(DeviceCommunicator, OneRankNeedsNoNccl) {
  const auto world = tests::thread_world(1);
  const auto communicator = make_device_communicator(*world[0], torch::Device("cuda:0"));
  EXPECT_EQ(communicator->size(), 1);
}

}  // namespace
}  // namespace anchorage::sharding
