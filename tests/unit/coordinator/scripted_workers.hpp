// Workers that compute nothing: a thread that writes down each command and answers it from a script.
#pragma once

#include <chrono>
#include <condition_variable>
#include <deque>
#include <functional>
#include <mutex>
#include <thread>
#include <utility>
#include <vector>

#include "sharding/protocol/command.hpp"

namespace anchorage::coordinator {

// What a worker would answer for layer 4 of a model with d = 3 and the given f.
inline sharding::BatchApplied apply(const sharding::ApplyBatch& command, std::int64_t f = 2) {
  const std::int64_t count = std::ssize(command.edits);
  const auto matrix = [](std::int64_t rows, std::int64_t columns, float first) {
    io::Matrix filled{rows, columns, std::vector<float>(static_cast<std::size_t>(rows * columns))};
    for (float& value : filled.values)
      value = first = 3.7F * first * (1 - first);  // between 0 and 1, never the same
    return filled;
  };
  io::LayerRecord layer;
  layer.layer = 4;
  layer.keys = matrix(count, f, 0.1F);
  layer.u = matrix(3, count, 0.2F);
  layer.v = matrix(f, count, 0.3F);
  layer.norms = {.update = 1, .total = 2, .base = 8};
  sharding::BatchApplied applied{.edits = {}, .layers = {}, .seconds = {1, 2, 3, 4}};
  applied.values = {.nll = 0.25, .match = 1};
  applied.heldout_loss = {.name = "held-out loss", .before = 3, .after = 3.01};
  for (std::int32_t i = 0; i < static_cast<std::int32_t>(count); ++i) {
    const io::Edit& edit = command.edits[static_cast<std::size_t>(i)];
    applied.edits.push_back({.id = edit.id,
                             .request = io::to_json(edit),
                             .reason = {},
                             .nll_before = 9,
                             .nll_after = 0.5,
                             .match_before = i == 0,
                             .match_after = true});
    layer.residuals.indices.push_back(i % 3);
    layer.residuals.values.push_back(0.5F);
    layer.residuals.offsets.push_back(i + 1);
    layer.edit_of_column.push_back(i);
  }
  applied.layers.push_back(std::move(layer));
  return applied;
}

class ScriptedWorkers : public sharding::Workers {
 public:
  using Script = std::function<sharding::Reply(const sharding::Command&)>;

  explicit ScriptedWorkers(Script script = answer) : script_(std::move(script)), thread_([this] { work(); }) {}
  ~ScriptedWorkers() override {
    submit(sharding::Stop{}, [](const sharding::Reply&) {});
  }

  // To every command what belongs to it.
  static sharding::Reply answer(const sharding::Command& command) {
    if (const auto* batch = std::get_if<sharding::ApplyBatch>(&command)) return apply(*batch);
    if (std::holds_alternative<sharding::AcceptBatch>(command)) return sharding::BatchAccepted{};
    if (std::holds_alternative<sharding::RefreshLeastSquares>(command)) return sharding::LeastSquaresRefreshed{};
    if (std::holds_alternative<sharding::RevertBatch>(command)) return sharding::BatchReverted{};
    if (std::holds_alternative<sharding::ReplaySegment>(command)) return sharding::SegmentReplayed{};
    if (std::holds_alternative<sharding::SaveCheckpoint>(command)) return sharding::CheckpointBegun{};
    if (std::holds_alternative<sharding::LoadCheckpoint>(command)) return sharding::CheckpointLoaded{};
    return sharding::Stopped{};
  }

  void submit(sharding::Command command, std::function<void(sharding::Reply)> done) override {
    const std::scoped_lock lock(mutex_);
    waiting_.emplace_back(std::move(command), std::move(done));
    changed_.notify_all();
  }

  // Waits until the workers have been told to stop; false when that does not happen.
  bool stopped(std::chrono::seconds within = std::chrono::seconds(30)) {
    std::unique_lock lock(mutex_);
    return changed_.wait_for(lock, within, [this] { return stopped_; });
  }

  // All commands so far, the last one after `stopped`.
  std::vector<sharding::Command> commands() {
    const std::scoped_lock lock(mutex_);
    return commands_;
  }

 private:
  void work() {
    for (bool going = true; going;) {
      std::unique_lock lock(mutex_);
      changed_.wait(lock, [this] { return !waiting_.empty(); });
      auto [command, done] = std::move(waiting_.front());
      waiting_.pop_front();
      commands_.push_back(command);
      going = !std::holds_alternative<sharding::Stop>(command);
      lock.unlock();
      done(script_(command));
      lock.lock();
      stopped_ = !going;
      changed_.notify_all();
    }
  }

  Script script_;
  std::mutex mutex_;
  std::condition_variable changed_;
  std::deque<std::pair<sharding::Command, std::function<void(sharding::Reply)>>> waiting_;
  std::vector<sharding::Command> commands_;
  bool stopped_ = false;
  std::jthread thread_;
};

}  // namespace anchorage::coordinator
