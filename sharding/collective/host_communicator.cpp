#include "sharding/collective/host_communicator.hpp"

#include <fmt/format.h>

#include <algorithm>
#include <numeric>
#include <utility>

#include "io/error.hpp"

namespace anchorage::sharding {
namespace {

std::int64_t total_bytes(const std::vector<HostCommunicator::Bytes>& all) {
  return std::accumulate(all.begin(), all.end(), std::int64_t{0}, [](std::int64_t sum, const auto& bytes) {
    return sum + static_cast<std::int64_t>(bytes.size());
  });
}

}  // namespace

void HostCommunicator::call(std::string_view operation, Timeout timeout,
                            const std::function<std::int64_t(const Deadline&)>& body) {
  if (failed_) {
    throw CollectiveError(operation,
                          fmt::format("expected a working communicator for '{}', found one of rank {} on "
                                      "which an earlier operation failed; end the job",
                                      operation, rank_));
  }
  const Activities::Scope waiting(activities_, Activities::Kind::wait, operation);
  const Deadline deadline(operation, rank_, timeout.of(deadline_));
  try {
    const std::int64_t bytes = body(deadline);
    Traffic& traffic = traffic_.try_emplace(std::string(operation)).first->second;
    traffic.calls += 1;
    traffic.bytes += bytes;
    traffic.seconds += deadline.elapsed().count();
  } catch (...) {
    failed_ = true;
    throw;
  }
}

void HostCommunicator::barrier(std::string_view operation, Timeout timeout) {
  call(operation, timeout, [&](const Deadline& deadline) {
    if (size_ > 1) wait_for_all(deadline);
    return 0;
  });
}

void HostCommunicator::broadcast(Bytes& bytes, int root, std::string_view operation, Timeout timeout) {
  check_rank(root, operation);
  call(operation, timeout, [&](const Deadline& deadline) {
    if (size_ > 1) {
      auto length = static_cast<std::int64_t>(bytes.size());
      copy_from(root, std::as_writable_bytes(std::span(&length, 1)), deadline);
      bytes.resize(static_cast<std::size_t>(length));
      if (length > 0) copy_from(root, bytes, deadline);
    }
    return static_cast<std::int64_t>(bytes.size());
  });
}

void HostCommunicator::broadcast_in_place(std::span<std::byte> bytes, int root, std::string_view operation,
                                          Timeout timeout) {
  check_rank(root, operation);
  call(operation, timeout, [&](const Deadline& deadline) {
    if (size_ > 1 && !bytes.empty()) copy_from(root, bytes, deadline);
    return static_cast<std::int64_t>(bytes.size());
  });
}

std::vector<HostCommunicator::Bytes> HostCommunicator::gather(std::span<const std::byte> mine, int root,
                                                              std::string_view operation) {
  check_rank(root, operation);
  std::vector<Bytes> all;
  call(operation, Timeout::until_deadline, [&](const Deadline& deadline) {
    if (rank_ != root) {
      const auto length = static_cast<std::int64_t>(mine.size());
      send_bytes(std::as_bytes(std::span(&length, 1)), root, deadline);
      if (length > 0) send_bytes(mine, root, deadline);
      return length;
    }
    all.resize(static_cast<std::size_t>(size_));
    for (int from = 0; from < size_; ++from) {
      Bytes& theirs = all[static_cast<std::size_t>(from)];
      if (from == rank_) {
        theirs.assign(mine.begin(), mine.end());
        continue;
      }
      std::int64_t length = 0;
      receive_bytes(std::as_writable_bytes(std::span(&length, 1)), from, deadline);
      theirs.resize(static_cast<std::size_t>(length));
      if (length > 0) receive_bytes(theirs, from, deadline);
    }
    return total_bytes(all);
  });
  return all;
}

// Makes one broadcast per rank: MPI's own gather of differing lengths counts in int and cannot be cut into
// pieces.
std::vector<HostCommunicator::Bytes> HostCommunicator::all_gather(std::span<const std::byte> mine,
                                                                  std::string_view operation, Timeout timeout) {
  std::vector<Bytes> all;
  call(operation, timeout, [&](const Deadline& deadline) {
    const auto self = static_cast<std::size_t>(rank_);
    std::vector<std::int64_t> lengths(static_cast<std::size_t>(size_));  // summed, with each rank filling its own
    lengths[self] = static_cast<std::int64_t>(mine.size());
    if (size_ > 1) sum(lengths, deadline);
    for (const std::int64_t length : lengths) all.emplace_back(static_cast<std::size_t>(length));
    std::ranges::copy(mine, all[self].begin());
    for (int root = 0; root < size_ && size_ > 1; ++root) {
      Bytes& bytes = all[static_cast<std::size_t>(root)];
      if (!bytes.empty()) copy_from(root, bytes, deadline);
    }
    return total_bytes(all);
  });
  return all;
}

void HostCommunicator::all_reduce_sum(std::span<std::int64_t> values, std::string_view operation) {
  call(operation, Timeout::until_deadline, [&](const Deadline& deadline) {
    if (size_ > 1 && !values.empty()) sum(values, deadline);
    return static_cast<std::int64_t>(values.size_bytes());
  });
}

void HostCommunicator::send(std::span<const std::byte> bytes, int to, std::string_view operation) {
  check_peer(to, operation);
  call(operation, Timeout::until_deadline, [&](const Deadline& deadline) {
    send_bytes(bytes, to, deadline);
    return static_cast<std::int64_t>(bytes.size());
  });
}

void HostCommunicator::receive(std::span<std::byte> bytes, int from, std::string_view operation) {
  check_peer(from, operation);
  call(operation, Timeout::until_deadline, [&](const Deadline& deadline) {
    receive_bytes(bytes, from, deadline);
    return static_cast<std::int64_t>(bytes.size());
  });
}

void HostCommunicator::post(std::span<const std::byte> bytes, std::shared_ptr<const void> owner, int to,
                            std::string_view operation) {
  check_peer(to, operation);
  call(operation, Timeout::until_deadline, [&](const Deadline& deadline) {
    post_bytes(bytes, std::move(owner), to, deadline);
    return static_cast<std::int64_t>(bytes.size());
  });
}

void HostCommunicator::deliver_posts(std::string_view operation) {
  call(operation, Timeout::until_deadline, [&](const Deadline& deadline) {
    if (size_ > 1) wait_for_posts(deadline);
    return 0;
  });
}

std::unique_ptr<HostCommunicator> HostCommunicator::split(int color, std::string_view operation) {
  io::check(color >= 0, fmt::format("'{}' needs a color of 0 or more, got {}", operation, color));
  std::unique_ptr<HostCommunicator> part;
  call(operation, Timeout::until_deadline, [&](const Deadline& deadline) {
    part = split_by(color, deadline);
    return 0;
  });
  part->activities_ = activities_;
  return part;
}

void HostCommunicator::check_rank(int rank, std::string_view operation) const {
  io::check(rank >= 0 && rank < size_,
            fmt::format("'{}' names rank {} in a world of {} ranks", operation, rank, size_));
}

void HostCommunicator::check_peer(int rank, std::string_view operation) const {
  check_rank(rank, operation);
  io::check(rank != rank_, fmt::format("'{}' is between two ranks, but rank {} names itself", operation, rank));
}

}  // namespace anchorage::sharding
