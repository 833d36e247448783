#include "sharding/collective/host_tensor_communicator.hpp"

#include <fmt/format.h>

#include <utility>

#include "io/error.hpp"

namespace anchorage::sharding {
namespace {

// Borrowed from the tensor, which is contiguous.
std::span<std::byte> bytes_of(const torch::Tensor& tensor) {
  return {static_cast<std::byte*>(tensor.data_ptr()), tensor.nbytes()};
}

}  // namespace

HostTensorCommunicator::HostTensorCommunicator(std::unique_ptr<HostCommunicator> host, torch::Device device)
    : DeviceCommunicator(std::move(host), device) {
  io::check(device.is_cpu() || size() == 1,
            fmt::format("tensors of {} ranks lie in host memory, got the device {}", size(), device.str()));
}

void HostTensorCommunicator::copy_from(std::span<const int> roots, std::span<const torch::Tensor> tensors,
                                       std::string_view operation, Timeout timeout) {
  for (std::size_t i = 0; i < roots.size(); ++i) {
    host().broadcast_in_place(bytes_of(tensors[i]), roots[i], operation, timeout);
  }
}

void HostTensorCommunicator::sum(const torch::Tensor& tensor, std::string_view operation) {
  host().all_reduce_sum({tensor.data_ptr<std::int64_t>(), static_cast<std::size_t>(tensor.numel())}, operation);
}

void HostTensorCommunicator::send_to(int to, const torch::Tensor& tensor, std::string_view operation) {
  host().send(bytes_of(tensor), to, operation);
}

void HostTensorCommunicator::receive_from(int from, const torch::Tensor& tensor, std::string_view operation) {
  host().receive(bytes_of(tensor), from, operation);
}

void HostTensorCommunicator::post_to(int to, const torch::Tensor& tensor, std::string_view operation) {
  host().post(bytes_of(tensor), std::make_shared<torch::Tensor>(tensor), to, operation);
}

void HostTensorCommunicator::receive_posted_from(int from, const torch::Tensor& tensor,
                                                 std::string_view operation) {
  receive_from(from, tensor, operation);
}

void HostTensorCommunicator::wait_for_posts(std::string_view operation) {
  host().deliver_posts(operation);
}

}  // namespace anchorage::sharding
