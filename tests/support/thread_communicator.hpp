// Ranks as threads of one process: for tests of multi-rank logic without MPI, and for nothing else.
//
// Stricter than MPI: ranks that are in differing operations, or name differing lengths, get an InternalError that
// names both; `send` always waits for its `receive`, and `post` never does.
#pragma once

#include <functional>
#include <memory>
#include <vector>

#include "sharding/collective/host_communicator.hpp"

namespace anchorage::tests {

// Element r is rank r's; each is for one thread.
[[nodiscard]] std::vector<std::unique_ptr<sharding::HostCommunicator>> thread_world(
    int size, sharding::Seconds deadline = sharding::default_deadline);

// Runs `body` on `size` threads, one a rank, and returns when all are done. When one throws, the others' waits end
// with a CollectiveError at once, and the first exception is thrown to the caller.
void run_thread_world(int size, const std::function<void(sharding::HostCommunicator&)>& body,
                      sharding::Seconds deadline = sharding::default_deadline);

}  // namespace anchorage::tests
