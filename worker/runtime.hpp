// The command loop that every rank runs while a run is edited, and the coordinator's end of it on rank 0.
#pragma once

#include <condition_variable>
#include <deque>
#include <mutex>
#include <optional>
#include <utility>

#include "sharding/collective/host_communicator.hpp"
#include "sharding/protocol/command.hpp"
#include "worker/editing/batch_editor.hpp"
#include "worker/evaluation/loss_probe.hpp"

namespace anchorage::worker {

// Rank 0: commands from the coordinator's thread to the worker's loop.
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

// Carries out commands until Stop. Collective: rank 0 takes them from `queue` (the others pass nothing) and sends
// them to all, and while there is none says them so, which keeps their deadlines. The probe measures around every
// batch.
void run_command_loop(BatchEditor& editor, const LossProbe& probe, sharding::HostCommunicator& ranks,
                      CommandQueue* queue);

}  // namespace anchorage::worker
