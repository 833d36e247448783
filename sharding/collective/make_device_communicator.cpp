#include "sharding/collective/device_communicator.hpp"
#include "sharding/collective/host_tensor_communicator.hpp"
#include "sharding/collective/nccl_communicator.hpp"

namespace anchorage::sharding {

std::unique_ptr<DeviceCommunicator> make_device_communicator(HostCommunicator& host, torch::Device device) {
  std::unique_ptr<HostCommunicator> own = host.split(0, "make a device communicator");
  if (device.is_cuda() && host.size() > 1) return make_nccl_communicator(std::move(own), device);
  return std::make_unique<HostTensorCommunicator>(std::move(own), device);
}

}  // namespace anchorage::sharding
