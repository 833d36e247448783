#include "tests/support/thread_communicator.hpp"

#include <fmt/format.h>
#include <fmt/ranges.h>

#include <algorithm>
#include <condition_variable>
#include <deque>
#include <exception>
#include <map>
#include <mutex>
#include <set>
#include <string>
#include <thread>
#include <utility>

#include "io/error.hpp"

namespace anchorage::tests {

using namespace sharding;  // what it implements
namespace {

std::size_t index(int rank) {
  return static_cast<std::size_t>(rank);
}

// The state that the ranks of one world share. A rank posts what it has, meets the others, reads what they
// posted, and meets them again before it withdraws its post.
class Rendezvous {
 public:
  struct Posted {
    std::string operation;
    std::span<std::byte> bytes;
    int color = 0;
  };

  explicit Rendezvous(int size) : posts_(index(size)) {}

  [[nodiscard]] const Posted& post_of(int rank) const { return posts_[index(rank)]; }

  // All ranks' posts can be read from when it returns until `leave`.
  void meet(Posted posted, const Deadline& deadline) {
    const std::string operation = posted.operation;
    posts_[index(deadline.rank())] = std::move(posted);
    arrive(deadline);
    for (const Posted& other : posts_) {
      io::check(other.operation == operation,
                fmt::format("ranks are in differing operations: '{}' and '{}'", operation, other.operation));
    }
  }

  void leave(const Deadline& deadline) { arrive(deadline); }

  void send(std::span<const std::byte> bytes, int to, const Deadline& deadline) {
    std::unique_lock lock(mutex_);
    const auto message = std::make_shared<Message>(Message{.bytes = bytes, .owner = nullptr});
    mailbox_[{deadline.rank(), to}].push_back(message);
    changed_.notify_all();
    wait(
        lock, deadline, [&] { return message->taken; }, [&] { return fmt::format("rank {}", to); });
  }

  void post(std::span<const std::byte> bytes, std::shared_ptr<const void> owner, const std::pair<int, int>& way) {
    const std::scoped_lock lock(mutex_);
    const auto message = std::make_shared<Message>(Message{.bytes = bytes, .owner = std::move(owner)});
    mailbox_[way].push_back(message);
    posted_[way.first].push_back(message);
    changed_.notify_all();
  }

  void wait_for_posts(const Deadline& deadline) {
    std::unique_lock lock(mutex_);
    auto& posted = posted_[deadline.rank()];
    const auto all_taken = [&] {
      std::erase_if(posted, [](const auto& message) { return message->taken; });
      return posted.empty();
    };
    wait(lock, deadline, all_taken, [] { return "the receivers"; });
  }

  void receive(std::span<std::byte> bytes, int from, const Deadline& deadline) {
    std::unique_lock lock(mutex_);
    const std::pair way(from, deadline.rank());
    wait(
        lock, deadline, [&] { return !mailbox_[way].empty(); }, [&] { return fmt::format("rank {}", from); });
    const auto message = mailbox_[way].front();
    io::check(message->bytes.size() == bytes.size(),
              fmt::format("'{}' expects {} bytes from rank {}, which sends {}", deadline.operation(), bytes.size(),
                          from, message->bytes.size()));
    std::ranges::copy(message->bytes, bytes.begin());
    mailbox_[way].pop_front();
    message->taken = true;
    message->owner.reset();
    changed_.notify_all();
  }

  // The world of the ranks of one color: made by the first of them that asks.
  std::shared_ptr<Rendezvous> part(int color, int size) {
    const std::scoped_lock lock(mutex_);
    std::shared_ptr<Rendezvous>& part = parts_[color];
    if (!part) {
      part = std::make_shared<Rendezvous>(size);
      part->failure_ = failure_;
      all_parts_.push_back(part);
    }
    return part;
  }

  // Once all of its ranks have it, so that the next split makes a new one.
  void forget_part(int color) {
    const std::scoped_lock lock(mutex_);
    parts_.erase(color);
  }

  // Ends all waits, now and later, here and in the worlds split from here.
  void fail(const std::string& reason) {
    const std::scoped_lock lock(mutex_);
    failure_ = reason;
    for (const auto& weak : all_parts_) {
      if (const auto part = weak.lock()) part->fail(reason);
    }
    changed_.notify_all();
  }

 private:
  void arrive(const Deadline& deadline) {
    std::unique_lock lock(mutex_);
    const std::int64_t round = round_;
    present_.insert(deadline.rank());
    if (present_.size() == posts_.size()) {
      present_.clear();
      ++round_;
      changed_.notify_all();
      return;
    }
    wait(
        lock, deadline, [&] { return round_ != round; }, [&] { return absent(); });
  }

  template <typename Done, typename Absent>
  void wait(std::unique_lock<std::mutex>& lock, const Deadline& deadline, Done done, Absent waited_for) {
    const auto ready = [&] { return done() || !failure_.empty(); };
    if (!changed_.wait_until(lock, deadline.end(), ready)) deadline.fail(waited_for());
    if (done()) return;
    throw CollectiveError(deadline.operation(),
                          fmt::format("expected '{}' to end, found that {}", deadline.operation(), failure_));
  }

  [[nodiscard]] std::string absent() const {
    std::vector<int> ranks;
    for (int rank = 0; rank < static_cast<int>(posts_.size()); ++rank) {
      if (!present_.contains(rank)) ranks.push_back(rank);
    }
    return fmt::format("rank {}", fmt::join(ranks, ", "));
  }

  struct Message {
    std::span<const std::byte> bytes;
    std::shared_ptr<const void> owner;  // of posted bytes
    bool taken = false;
  };

  std::mutex mutex_;
  std::condition_variable changed_;
  std::vector<Posted> posts_;
  std::set<int> present_;
  std::int64_t round_ = 0;
  std::map<std::pair<int, int>, std::deque<std::shared_ptr<Message>>> mailbox_;  // by sender and receiver
  std::map<int, std::vector<std::shared_ptr<Message>>> posted_;                  // by sender
  std::map<int, std::shared_ptr<Rendezvous>> parts_;                             // being split, by color
  std::vector<std::weak_ptr<Rendezvous>> all_parts_;
  std::string failure_;
};

class ThreadCommunicator final : public HostCommunicator {
 public:
  ThreadCommunicator(int rank, int size, Seconds deadline, std::shared_ptr<Rendezvous> rendezvous)
      : HostCommunicator(rank, size, deadline), rendezvous_(std::move(rendezvous)) {}

 private:
  void wait_for_all(const Deadline& deadline) override {
    rendezvous_->meet({.operation = std::string(deadline.operation()), .bytes = {}}, deadline);
    rendezvous_->leave(deadline);
  }

  void copy_from(int root, std::span<std::byte> bytes, const Deadline& deadline) override {
    meet(bytes, deadline);
    if (root != rank()) std::ranges::copy(rendezvous_->post_of(root).bytes, bytes.begin());
    rendezvous_->leave(deadline);
  }

  void sum(std::span<std::int64_t> values, const Deadline& deadline) override {
    meet(std::as_writable_bytes(values), deadline);
    std::vector<std::uint64_t> total(values.size());  // unsigned: overflow wraps
    for (int other = 0; other < size(); ++other) {
      const auto* theirs = reinterpret_cast<const std::int64_t*>(rendezvous_->post_of(other).bytes.data());
      for (std::size_t i = 0; i < total.size(); ++i) total[i] += static_cast<std::uint64_t>(theirs[i]);
    }
    rendezvous_->leave(deadline);
    std::ranges::transform(total, values.begin(),
                           [](std::uint64_t value) { return static_cast<std::int64_t>(value); });
  }

  void send_bytes(std::span<const std::byte> bytes, int to, const Deadline& deadline) override {
    rendezvous_->send(bytes, to, deadline);
  }

  void receive_bytes(std::span<std::byte> bytes, int from, const Deadline& deadline) override {
    rendezvous_->receive(bytes, from, deadline);
  }

  void post_bytes(std::span<const std::byte> bytes, std::shared_ptr<const void> owner, int to,
                  const Deadline&) override {
    rendezvous_->post(bytes, std::move(owner), {rank(), to});
  }

  void wait_for_posts(const Deadline& deadline) override { rendezvous_->wait_for_posts(deadline); }

  std::unique_ptr<HostCommunicator> split_by(int color, const Deadline& deadline) override {
    rendezvous_->meet({.operation = std::string(deadline.operation()), .bytes = {}, .color = color}, deadline);
    int new_rank = 0;
    int new_size = 0;
    for (int other = 0; other < size(); ++other) {
      if (rendezvous_->post_of(other).color != color) continue;
      ++new_size;
      if (other < rank()) ++new_rank;
    }
    std::shared_ptr<Rendezvous> part = rendezvous_->part(color, new_size);
    rendezvous_->leave(deadline);
    if (new_rank == 0) rendezvous_->forget_part(color);
    return std::make_unique<ThreadCommunicator>(new_rank, new_size, this->deadline(), std::move(part));
  }

  void meet(std::span<std::byte> bytes, const Deadline& deadline) {
    rendezvous_->meet({.operation = std::string(deadline.operation()), .bytes = bytes}, deadline);
    for (int other = 0; other < size(); ++other) {
      const std::size_t theirs = rendezvous_->post_of(other).bytes.size();
      io::check(theirs == bytes.size(), fmt::format("'{}' has {} bytes on rank {} and {} on rank {}",
                                                    deadline.operation(), bytes.size(), rank(), theirs, other));
    }
  }

  std::shared_ptr<Rendezvous> rendezvous_;
};

}  // namespace

std::vector<std::unique_ptr<HostCommunicator>> thread_world(int size, Seconds deadline) {
  io::check(size > 0, fmt::format("a world needs at least one rank, got {}", size));
  const auto rendezvous = std::make_shared<Rendezvous>(size);
  std::vector<std::unique_ptr<HostCommunicator>> world;
  for (int rank = 0; rank < size; ++rank) {
    world.push_back(std::make_unique<ThreadCommunicator>(rank, size, deadline, rendezvous));
  }
  return world;
}

void run_thread_world(int size, const std::function<void(HostCommunicator&)>& body, Seconds deadline) {
  io::check(size > 0, fmt::format("a world needs at least one rank, got {}", size));
  const auto rendezvous = std::make_shared<Rendezvous>(size);
  std::mutex mutex;
  std::exception_ptr first;
  const auto run_rank = [&](int rank) {
    try {
      ThreadCommunicator world(rank, size, deadline, rendezvous);
      body(world);
    } catch (const std::exception& error) {
      {
        const std::scoped_lock lock(mutex);
        if (!first) first = std::current_exception();
      }
      rendezvous->fail(fmt::format("rank {} failed: {}", rank, error.what()));
    }
  };
  {
    std::vector<std::jthread> ranks;
    for (int rank = 0; rank < size; ++rank) ranks.emplace_back(run_rank, rank);
  }
  if (first) std::rethrow_exception(first);
}

}  // namespace anchorage::tests
