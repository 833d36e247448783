// Tensors between ranks: keys and residuals to the owners, updates to the holders, activations between stages.
//
// As HostCommunicator: every rank calls the same operations in the same order, from one thread at a time, each with
// its name; a call that cannot come to its end throws CollectiveError. Any dtype: tensors travel as bytes. All
// tensors lie on `device()` (another one, or a tensor that is written in place and not contiguous, is an
// InternalError). When a call returns, its tensors are ready on the device's current stream.
//
// Sums are of int64 alone. They are exact and so the same in any order; what is floating point is gathered in rank
// order and reduced by one rank (docs/architecture.md, "Same bits").
#pragma once

#include <torch/types.h>

#include <functional>
#include <memory>
#include <span>
#include <string_view>
#include <vector>

#include "sharding/collective/host_communicator.hpp"
#include "sharding/range.hpp"

namespace anchorage::sharding {

class DeviceCommunicator {
 public:
  virtual ~DeviceCommunicator() = default;
  DeviceCommunicator(const DeviceCommunicator&) = delete;
  DeviceCommunicator& operator=(const DeviceCommunicator&) = delete;

  [[nodiscard]] int rank() const { return host_->rank(); }
  [[nodiscard]] int size() const { return host_->size(); }
  [[nodiscard]] torch::Device device() const { return device_; }
  [[nodiscard]] const TrafficByOperation& traffic() const { return traffic_; }

  // `tensor` becomes root's, in place; same shape and dtype on every rank.
  void broadcast(const torch::Tensor& tensor, int root, std::string_view operation,
                 Timeout timeout = Timeout::until_deadline);
  // The same among `ranks`, root one of them, which alone make the call.
  void broadcast_among(Range ranks, const torch::Tensor& tensor, int root, std::string_view operation);

  // The ranks' tensors one after the other along the first dimension, in rank order, on every rank. First
  // dimensions may differ and be 0; a different dtype or other dimension is an InternalError on every rank.
  [[nodiscard]] torch::Tensor all_gather(const torch::Tensor& mine, std::string_view operation,
                                         Timeout timeout = Timeout::until_deadline);

  // Each element of an int64 tensor becomes its sum over the ranks, in place.
  void all_reduce_sum(const torch::Tensor& tensor, std::string_view operation);

  // One tensor between two ranks; `receive` writes in place. `send` may wait until `receive` is called.
  void send(const torch::Tensor& tensor, int to, std::string_view operation);
  void receive(const torch::Tensor& tensor, int from, std::string_view operation);

 protected:
  // `host` has the same ranks and belongs to this communicator alone.
  DeviceCommunicator(std::unique_ptr<HostCommunicator> host, torch::Device device);

  [[nodiscard]] HostCommunicator& host() const { return *host_; }

 private:
  // What an implementation provides, for size() > 1 and tensors that are contiguous and not empty.
  // All at once: tensors[i] from roots[i].
  virtual void copy_from(std::span<const int> roots, std::span<const torch::Tensor> tensors,
                         std::string_view operation, Timeout timeout) = 0;
  virtual void sum(const torch::Tensor& tensor, std::string_view operation) = 0;
  // To each of them, at least one.
  virtual void send_to(std::span<const int> to, const torch::Tensor& tensor, std::string_view operation) = 0;
  virtual void receive_from(int from, const torch::Tensor& tensor, std::string_view operation) = 0;

  // Counts `body`, which returns the payload that this rank sees.
  torch::Tensor count(std::string_view operation, const std::function<torch::Tensor()>& body);
  void check_place(const torch::Tensor& tensor, std::string_view operation) const;
  void check_rank(int rank, std::string_view operation) const;
  void check_peer(int rank, std::string_view operation) const;
  [[nodiscard]] torch::Tensor gather_rows(const torch::Tensor& mine, std::string_view operation, Timeout timeout);
  [[nodiscard]] std::vector<std::int64_t> rows_by_rank(const torch::Tensor& mine, std::string_view operation,
                                                       Timeout timeout);

  std::unique_ptr<HostCommunicator> host_;
  torch::Device device_;
  TrafficByOperation traffic_;
};

// The communicator for tensors on `device` between the ranks of `host`, with its deadline: MPI (or threads,
// whatever `host` is made of) for the CPU, NCCL for CUDA, whose device has an index. One rank alone needs neither.
// Collective.
[[nodiscard]] std::unique_ptr<DeviceCommunicator> make_device_communicator(HostCommunicator& host,
                                                                           torch::Device device);

}  // namespace anchorage::sharding
