// Tensors on CUDA devices, over NCCL. Includes neither nccl.h nor CUDA's headers.
//
// Calls go to the device's current stream and wait for it by polling, together with NCCL's asynchronous error and
// the deadline: on either the communicator is aborted and the call throws CollectiveError with the operation's name
// and what NCCL says.
#pragma once

#include <memory>

#include "sharding/collective/device_communicator.hpp"

namespace anchorage::sharding {

// Collective over `host`, which carries NCCL's id from rank 0 and the descriptors of gathers. One device a rank;
// NCCL takes two ranks on one device only where they seem to be different hosts (NCCL_HOSTID).
[[nodiscard]] std::unique_ptr<DeviceCommunicator> make_nccl_communicator(std::unique_ptr<HostCommunicator> host,
                                                                         torch::Device device);

}  // namespace anchorage::sharding
