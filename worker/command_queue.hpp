// The way of commands from the coordinator's thread to the worker's loop on rank 0.
#pragma once

#include <condition_variable>
#include <deque>
#include <functional>
#include <mutex>
#include <optional>
#include <utility>

#include "sharding/collective/deadline.hpp"
#include "sharding/protocol/command.hpp"

namespace anchorage::worker {

// First in, first out; any thread may submit or take. `done` is not called here: who takes an entry calls it.
class CommandQueue : public sharding::Workers {
 public:
  using Entry = std::pair<sharding::Command, std::function<void(sharding::Reply)>>;

  void submit(sharding::Command command, std::function<void(sharding::Reply)> done) override;

  // The next command; nothing where none has come in this time.
  std::optional<Entry> take_within(sharding::Seconds time);

 private:
  std::mutex mutex_;
  std::condition_variable filled_;
  std::deque<Entry> entries_;
};

}  // namespace anchorage::worker
