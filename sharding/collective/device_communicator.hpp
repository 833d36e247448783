// Moves tensors between ranks: keys and residuals to the owners, updates to the holders, activations between
// stages.
//
// As with HostCommunicator, every rank calls the same operations in the same order, from one thread at a
// time, each with its name, and a call that cannot complete throws CollectiveError. Any dtype works, since
// tensors travel as bytes. All tensors lie on `device()` (another device, or a tensor that is written in
// place and not contiguous, is an InternalError). When a call returns, its tensors are ready on the device's
// current stream.
//
// Only int64 is summed, which is exact and so the same in any order; floating-point values are gathered in
// rank order and reduced by one rank (docs/architecture.md, "Same bits").
#pragma once

#include <torch/types.h>

#include <functional>
#include <memory>
#include <span>
#include <string_view>
#include <vector>

#include "sharding/collective/host_communicator.hpp"

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
  [[nodiscard]] Activities* activities() const { return host_->activities(); }

  // Overwrites `tensor` with root's; it has the same shape and dtype on every rank.
  void broadcast(const torch::Tensor& tensor, int root, std::string_view operation,
                 Timeout timeout = Timeout::until_deadline);

  // Concatenates the ranks' tensors along the first dimension, in rank order, on every rank. First dimensions
  // may differ and be 0; a difference in dtype or in another dimension is an InternalError on every rank.
  [[nodiscard]] torch::Tensor all_gather(const torch::Tensor& mine, std::string_view operation,
                                         Timeout timeout = Timeout::until_deadline);

  // The same where every rank knows how many rows each has, in rank order, and all have the same dtype and the same
  // other dimensions: nothing is exchanged before the rows. Other rows than announced are an InternalError.
  [[nodiscard]] torch::Tensor all_gather(const torch::Tensor& mine, std::span<const std::int64_t> rows,
                                         std::string_view operation, Timeout timeout = Timeout::until_deadline);

  // Replaces each element of an int64 tensor by its sum over the ranks.
  void all_reduce_sum(const torch::Tensor& tensor, std::string_view operation);

  // Move one tensor between two ranks; `receive` writes in place. `send` may wait until `receive` is called.
  void send(const torch::Tensor& tensor, int to, std::string_view operation);
  void receive(const torch::Tensor& tensor, int from, std::string_view operation);

  // Sends without waiting for the receiver, which calls `receive_posted`: messages both ways can be in flight
  // between two ranks. The tensor stays alive until it is delivered, and must not be written to. Between two ranks
  // posted messages arrive in the order of the calls; on the CPU they keep that order with those of `send` too. A
  // message that is not delivered within the deadline surfaces as CollectiveError with its own operation's name, at
  // a later post or at the latest in `deliver_posts`, which waits until all that was posted is delivered.
  void post(const torch::Tensor& tensor, int to, std::string_view operation);
  void receive_posted(const torch::Tensor& tensor, int from, std::string_view operation);
  void deliver_posts(std::string_view operation);

 protected:
  // `host` has the same ranks and belongs to this communicator alone.
  DeviceCommunicator(std::unique_ptr<HostCommunicator> host, torch::Device device);

  [[nodiscard]] HostCommunicator& host() const { return *host_; }

 private:
  // An implementation provides these, for size() > 1 and tensors that are contiguous and not empty.
  // Broadcasts all at once: tensors[i] from roots[i].
  virtual void copy_from(std::span<const int> roots, std::span<const torch::Tensor> tensors,
                         std::string_view operation, Timeout timeout) = 0;
  virtual void sum(const torch::Tensor& tensor, std::string_view operation) = 0;
  virtual void send_to(int to, const torch::Tensor& tensor, std::string_view operation) = 0;
  virtual void receive_from(int from, const torch::Tensor& tensor, std::string_view operation) = 0;
  virtual void post_to(int to, const torch::Tensor& tensor, std::string_view operation) = 0;
  virtual void receive_posted_from(int from, const torch::Tensor& tensor, std::string_view operation) = 0;
  virtual void wait_for_posts(std::string_view operation) = 0;

  // Waits for what a GPU still computes when a call begins, where activities are counted: that is work, and the
  // call would wait for it anyway.
  void finish_computing() const;
  // Runs `body` as one counted call; `body` returns the payload that this rank sees.
  torch::Tensor count(std::string_view operation, const std::function<torch::Tensor()>& body);
  void check_place(const torch::Tensor& tensor, std::string_view operation) const;
  void check_rank(int rank, std::string_view operation) const;
  void check_peer(int rank, std::string_view operation) const;
  [[nodiscard]] torch::Tensor gather_rows(const torch::Tensor& mine, std::span<const std::int64_t> rows,
                                          std::string_view operation, Timeout timeout);
  [[nodiscard]] std::vector<std::int64_t> rows_by_rank(const torch::Tensor& mine, std::string_view operation,
                                                       Timeout timeout);

  std::unique_ptr<HostCommunicator> host_;
  torch::Device device_;
  TrafficByOperation traffic_;
};

// Makes the communicator for tensors on `device` between the ranks of `host`, with its deadline: over `host`
// itself (MPI, or threads in tests) for the CPU, over NCCL for a CUDA device, which must have an index. A
// single rank needs neither. Collective.
[[nodiscard]] std::unique_ptr<DeviceCommunicator> make_device_communicator(HostCommunicator& host,
                                                                           torch::Device device);

}  // namespace anchorage::sharding
