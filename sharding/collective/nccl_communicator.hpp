// Moves tensors on CUDA devices over NCCL. Includes neither nccl.h nor CUDA's headers.
//
// Calls enqueue on the device's current stream and poll the stream, NCCL's asynchronous error and the
// deadline; on an error or past the deadline they abort the communicator and throw CollectiveError with the
// operation's name and NCCL's message. Posted messages go over communicators of two ranks each, one for each way,
// on streams of their own.
#pragma once

#include <memory>
#include <string>

#include "sharding/collective/device_communicator.hpp"

namespace anchorage::sharding {

// Returns the version of the NCCL that is loaded: "2.28.9".
[[nodiscard]] std::string nccl_library_version();

// Makes the communicator; collective over `host`, which carries NCCL's id from rank 0 and the descriptors of
// gathers. Each rank has its own device; NCCL accepts two ranks on one device only where they appear to be
// different hosts (NCCL_HOSTID).
[[nodiscard]] std::unique_ptr<DeviceCommunicator> make_nccl_communicator(std::unique_ptr<HostCommunicator> host,
                                                                         torch::Device device);

}  // namespace anchorage::sharding
