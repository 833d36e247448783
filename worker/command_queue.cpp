#include "worker/command_queue.hpp"

namespace anchorage::worker {

void CommandQueue::submit(sharding::Command command, std::function<void(sharding::Reply)> done) {
  const std::scoped_lock lock(mutex_);
  entries_.emplace_back(std::move(command), std::move(done));
  filled_.notify_one();
}

std::optional<CommandQueue::Entry> CommandQueue::take_within(sharding::Seconds time) {
  std::unique_lock lock(mutex_);
  if (!filled_.wait_for(lock, time, [&] { return !entries_.empty(); })) return std::nullopt;
  Entry entry = std::move(entries_.front());
  entries_.pop_front();
  return entry;
}

}  // namespace anchorage::worker
