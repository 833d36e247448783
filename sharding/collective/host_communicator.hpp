// Moves host values between ranks: commands, replies, descriptors, any bytes in host memory.
//
// Every rank has one communicator of a world and calls the same operations in the same order, from one thread
// at a time. Every call carries the operation's name ("gather keys"), for errors and counters. All calls but
// send and receive are collective. A call that cannot complete throws CollectiveError, after the deadline at
// the latest; later calls throw at once.
#pragma once

#include <cstddef>
#include <cstdint>
#include <functional>
#include <memory>
#include <span>
#include <string_view>
#include <vector>

#include "sharding/collective/deadline.hpp"
#include "sharding/collective/traffic.hpp"

namespace anchorage::sharding {

class HostCommunicator {
 public:
  using Bytes = std::vector<std::byte>;

  virtual ~HostCommunicator() = default;
  HostCommunicator(const HostCommunicator&) = delete;
  HostCommunicator& operator=(const HostCommunicator&) = delete;

  [[nodiscard]] int rank() const { return rank_; }
  [[nodiscard]] int size() const { return size_; }
  [[nodiscard]] Seconds deadline() const { return deadline_; }
  [[nodiscard]] const TrafficByOperation& traffic() const { return traffic_; }

  // Returns when every rank has called it.
  void barrier(std::string_view operation, Timeout timeout = Timeout::until_deadline);

  // Overwrites every rank's `bytes` with root's, whatever their length was.
  void broadcast(Bytes& bytes, int root, std::string_view operation, Timeout timeout = Timeout::until_deadline);
  // Broadcasts without a copy, where every rank knows the length.
  void broadcast_in_place(std::span<std::byte> bytes, int root, std::string_view operation,
                          Timeout timeout = Timeout::until_deadline);

  // Return what each rank gave, in rank order; lengths may differ. `gather` returns it on root, nothing
  // elsewhere.
  [[nodiscard]] std::vector<Bytes> gather(std::span<const std::byte> mine, int root, std::string_view operation);
  [[nodiscard]] std::vector<Bytes> all_gather(std::span<const std::byte> mine, std::string_view operation,
                                              Timeout timeout = Timeout::until_deadline);

  // Replaces each value by its sum over the ranks: exact, so independent of order; modulo 2^64.
  void all_reduce_sum(std::span<std::int64_t> values, std::string_view operation);

  // Move one message between two ranks; both give its length. `send` may wait until `receive` is called.
  void send(std::span<const std::byte> bytes, int to, std::string_view operation);
  void receive(std::span<std::byte> bytes, int from, std::string_view operation);

  // Sends without waiting for the receiver, which calls `receive`; between two ranks, messages arrive in the order
  // of the calls, posted or not. `owner` keeps the bytes alive until they are delivered. A message that is not
  // delivered within the deadline surfaces as CollectiveError with its own operation's name, at a later call of
  // these two.
  void post(std::span<const std::byte> bytes, std::shared_ptr<const void> owner, int to,
            std::string_view operation);
  // Waits until all that was posted is delivered.
  void deliver_posts(std::string_view operation);

  // Makes a communicator for the ranks that give the same `color` (>= 0), in the order of their ranks here.
  // Its messages never mix with those of this one.
  [[nodiscard]] std::unique_ptr<HostCommunicator> split(int color, std::string_view operation);

 protected:
  HostCommunicator(int rank, int size, Seconds deadline) : rank_(rank), size_(size), deadline_(deadline) {}

  // Whether a call has thrown.
  [[nodiscard]] bool failed() const { return failed_; }

 private:
  // An implementation provides these, for size() > 1 and checked arguments.
  virtual void wait_for_all(const Deadline& deadline) = 0;
  virtual void copy_from(int root, std::span<std::byte> bytes, const Deadline& deadline) = 0;
  virtual void sum(std::span<std::int64_t> values, const Deadline& deadline) = 0;
  virtual void send_bytes(std::span<const std::byte> bytes, int to, const Deadline& deadline) = 0;
  virtual void receive_bytes(std::span<std::byte> bytes, int from, const Deadline& deadline) = 0;
  virtual void post_bytes(std::span<const std::byte> bytes, std::shared_ptr<const void> owner, int to,
                          const Deadline& deadline) = 0;
  virtual void wait_for_posts(const Deadline& deadline) = 0;
  virtual std::unique_ptr<HostCommunicator> split_by(int color, const Deadline& deadline) = 0;

  // Runs `body`, which returns the payload's bytes, as one counted call with a deadline.
  void call(std::string_view operation, Timeout timeout, const std::function<std::int64_t(const Deadline&)>& body);
  void check_rank(int rank, std::string_view operation) const;
  void check_peer(int rank, std::string_view operation) const;

  int rank_;
  int size_;
  Seconds deadline_;
  bool failed_ = false;
  TrafficByOperation traffic_;
};

}  // namespace anchorage::sharding
