// For test programs whose main is tests/mpi/main.cpp: every rank runs every test.
//
// A rank that leaves a test early leaves the others waiting, so a condition that ASSERT_* stands on is first agreed
// on: ASSERT_TRUE(agree(world, found == expected)). EXPECT_* need no agreement: the test continues.
#pragma once

#include <functional>

#include "sharding/collective/mpi_session.hpp"

namespace anchorage::sharding {

[[nodiscard]] const MpiSession& mpi_session();

// Whether the condition holds on every rank. Collective.
[[nodiscard]] bool agree(HostCommunicator& world, bool condition);

// Runs `body` in a fresh world. An exception ends the job with its message: the others would wait for this rank.
void run_mpi_world(const std::function<void(HostCommunicator&)>& body, const MpiOptions& options = {});

}  // namespace anchorage::sharding
