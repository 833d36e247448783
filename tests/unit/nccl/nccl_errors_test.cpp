// What happens to a communicator when NCCL reports an error late, or never responds. NCCL's own functions are
// replaced in this program by ones that say what a test wants; where there is a GPU, tests/gpu runs the real
// ones.
#include <gmock/gmock.h>
#include <gtest/gtest.h>
#include <nccl.h>

#include <atomic>

#include "sharding/collective/nccl_communicator.hpp"
#include "tests/support/thread_communicator.hpp"

namespace {

struct Script {
  ncclResult_t outcome = ncclSuccess;
  int looks = 0;  // at a rank's state that find it in progress
};

std::atomic<int> aborted = 0, destroyed = 0, looked = 0;
Script script;
int communicator = 0;

void play(const Script& next) {
  script = next;
  aborted = destroyed = looked = 0;
}

}  // namespace

extern "C" {
ncclResult_t ncclGetUniqueId(ncclUniqueId* id) {
  *id = {};
  return ncclSuccess;
}
ncclResult_t ncclCommInitRankConfig(ncclComm_t* made, int, ncclUniqueId, int, ncclConfig_t*) {
  *made = reinterpret_cast<ncclComm_t>(&communicator);
  return ncclInProgress;
}
ncclResult_t ncclCommGetAsyncError(ncclComm_t, ncclResult_t* state) {
  *state = looked++ < script.looks ? ncclInProgress : script.outcome;
  return ncclSuccess;
}
ncclResult_t ncclCommAbort(ncclComm_t) {
  ++aborted;
  return ncclSuccess;
}
ncclResult_t ncclCommFinalize(ncclComm_t) {
  return ncclSuccess;
}
ncclResult_t ncclCommDestroy(ncclComm_t) {
  ++destroyed;
  return ncclSuccess;
}
const char* ncclGetErrorString(ncclResult_t) {
  return "remote process exited";
}
const char* ncclGetLastError(ncclComm_t) {
  return "NET/Socket: connection closed";
}
}

namespace anchorage::sharding {
namespace {

using testing::HasSubstr;

// Two ranks connect; what each is told.
void expect_refusal(const std::function<void(const CollectiveError&, int rank)>& check) {
  const auto connect = [&](HostCommunicator& world) {
    try {
      (void)make_nccl_communicator(world.split(0, "split"), torch::Device("cuda:0"));
      ADD_FAILURE() << "no error on rank " << world.rank();
    } catch (const CollectiveError& error) {
      EXPECT_EQ(error.operation(), "connect NCCL");
      check(error, world.rank());
    }
  };
  tests::run_thread_world(2, connect, Seconds{0.5});
  EXPECT_EQ(aborted, 2) << "each rank aborts its communicator";
  EXPECT_EQ(destroyed, 0);
}

TEST(NcclErrors, AnAsynchronousErrorAbortsTheCommunicatorAndNamesTheOperation) {
  play({.outcome = ncclRemoteError, .looks = 6});
  expect_refusal([](const CollectiveError& error, int rank) {
    EXPECT_THAT(error.what(), HasSubstr("expected 'connect NCCL' to succeed, found 'remote process exited'"));
    EXPECT_THAT(error.what(), HasSubstr("on rank " + std::to_string(rank)));
    EXPECT_THAT(error.what(), HasSubstr("NET/Socket: connection closed"));
  });
}

TEST(NcclErrors, WhatDoesNotComeToAnEndIsAbortedAtTheDeadline) {
  play({.outcome = ncclInProgress});
  expect_refusal([](const CollectiveError& error, int rank) {
    EXPECT_THAT(error.what(), HasSubstr("'connect NCCL' to end within 0.5 s, found rank " + std::to_string(rank) +
                                        " still waiting for the other ranks in NCCL"));
  });
}

TEST(NcclErrors, ACommunicatorThatComesUpIsClosedInOrder) {
  play({.outcome = ncclSuccess, .looks = 6});
  tests::run_thread_world(2, [](HostCommunicator& world) {
    const auto made = make_nccl_communicator(world.split(0, "split"), torch::Device("cuda:0"));
    EXPECT_EQ(made->size(), 2);
  });
  EXPECT_EQ(aborted, 0);
  EXPECT_EQ(destroyed, 2);
}

}  // namespace
}  // namespace anchorage::sharding
