// Moves tensors in host memory as bytes over a HostCommunicator: MPI between processes, threads in tests.
// Each rank's part of a call has the communicator's deadline.
#pragma once

#include "sharding/collective/device_communicator.hpp"

namespace anchorage::sharding {

class HostTensorCommunicator final : public DeviceCommunicator {
 public:
  // Allows a device other than the CPU only with one rank, which moves nothing.
  HostTensorCommunicator(std::unique_ptr<HostCommunicator> host, torch::Device device);

 private:
  void copy_from(std::span<const int> roots, std::span<const torch::Tensor> tensors, std::string_view operation,
                 Timeout timeout) override;
  void sum(const torch::Tensor& tensor, std::string_view operation) override;
  void send_to(int to, const torch::Tensor& tensor, std::string_view operation) override;
  void receive_from(int from, const torch::Tensor& tensor, std::string_view operation) override;
  void post_to(int to, const torch::Tensor& tensor, std::string_view operation) override;
  void receive_posted_from(int from, const torch::Tensor& tensor, std::string_view operation) override;
  void wait_for_posts(std::string_view operation) override;
};

}  // namespace anchorage::sharding
