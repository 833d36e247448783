#include "worker/runtime.hpp"

#include <array>
#include <cstring>
#include <optional>
#include <span>
#include <utility>
#include <variant>

#include "io/error.hpp"
#include "sharding/collective/deadline.hpp"
#include "worker/batch_record.hpp"
#include "worker/checkpoint_writer.hpp"
#include "worker/device.hpp"
#include "worker/editing/update/removal.hpp"
#include "worker/freed_memory.hpp"
#include "worker/matrix_conversion.hpp"

namespace anchorage::worker {
namespace {

// Adds the batch to the error of a rank that stays away from an operation.
template <class Action>
auto naming_the_batch(std::int64_t batch, const Action& action) {
  try {
    return action();
  } catch (const sharding::CollectiveError& error) {
    throw sharding::CollectiveError(error.operation(), fmt::format("{} (batch {})", error.what(), batch));
  }
}

// Executes each command on a rank.
class Worker {
 public:
  Worker(BatchEditor& editor, const Probes& probes, sharding::HostCommunicator& ranks)
      : editor_(editor), probes_(probes), ranks_(ranks) {}

  sharding::Reply carry_out(const sharding::ApplyBatch& command) {
    batch_ = command.batch;
    return naming_the_batch(batch_, [&] { return apply(command); });
  }

  sharding::Reply carry_out(const sharding::RevertBatch&) {
    io::check(std::exchange(waiting_, false), "a batch to revert");
    editor_.discard();
    now_ = before_;
    return sharding::BatchReverted{};
  }

  sharding::Reply carry_out(const sharding::AcceptBatch&) {
    io::check(std::exchange(waiting_, false), "a batch to accept");
    const auto accepted = naming_the_batch(batch_, [&] { return sharding::BatchAccepted{.drifted = accept()}; });
    return_freed_memory();
    return accepted;
  }

  sharding::Reply carry_out(const sharding::RefreshLeastSquares& command) {
    checkpoints_.wait();
    editor_.refresh(command.live);
    return sharding::LeastSquaresRefreshed{};
  }

  // Every rank reads the segment, which lies in the run directory that all ranks see: the keys of every layer,
  // since it may have slabs of any, and the updates.
  sharding::Reply carry_out(const sharding::ReplaySegment& command) {
    const io::SegmentReader segment(command.path);
    for (const std::int64_t number : segment.removed_layers()) {
      const io::RemovedLayer layer = segment.removed_layer(number);
      editor_.replay_removal(number, to_tensor(layer.keys), to_tensor(layer.u), to_tensor(layer.v));
    }
    for (const std::int64_t number : segment.layers()) {
      const io::LayerRecord layer = segment.layer(number);
      editor_.replay(number, absorbed_keys(layer), to_tensor(layer.u), to_tensor(layer.v));
    }
    replay_anchors(segment);
    return sharding::SegmentReplayed{.drifted = accept()};
  }

  sharding::Reply carry_out(const sharding::SaveCheckpoint& command) {
    checkpoints_.begin(editor_,
                       {.directory = command.directory, .segment = command.segment, .digest = command.digest});
    return sharding::CheckpointBegun{};
  }

  sharding::Reply carry_out(const sharding::LoadCheckpoint& command) {
    checkpoints_.wait();
    load_checkpoint(editor_, command.directory, command.segment);
    if (!command.anchors.empty()) replay_anchors(io::SegmentReader(command.anchors));
    return sharding::CheckpointLoaded{};
  }

  sharding::Reply carry_out(const sharding::ContinuePrompts& command) {
    sharding::PromptsContinued continued = probes_.questions.continued(command);
    const auto base = editor_.weights().with_base([&] { return probes_.questions.continued(command); });
    for (std::size_t i = 0; i < continued.texts.size(); ++i) continued.texts[i].base = base.texts[i].edited;
    return continued;
  }

  sharding::Reply carry_out(const sharding::ScoreTexts& command) { return probes_.questions.scored(command); }

  sharding::Reply carry_out(const sharding::Stop&) { return sharding::Stopped{}; }

 private:
  sharding::BatchApplied apply(const sharding::ApplyBatch& command) {
    io::check(!std::exchange(waiting_, true), "the batch before to be accepted or reverted");
    return_freed_memory();  // of the beginning of the run
    const double waited_before = waited();
    before_ = looked();
    sharding::BatchSeconds seconds;
    std::vector<LayerRemoval> removals;
    if (!command.superseded.edits.empty()) removals = editor_.remove(command.superseded, seconds);
    const BatchResult result = command.edits.empty() ? BatchResult{} : editor_.apply(command.edits);
    now_.reset();
    const Seen& after = looked();
    std::vector<io::RankLoad> loads = gathered_loads(waited() - waited_before);
    if (ranks_.rank() != 0) return sharding::BatchApplied{};
    sharding::BatchApplied applied = batch_record(command.edits, result);
    applied.ranks = std::move(loads);
    applied.removal = removal_record(command.superseded.edits, removals);
    applied.heldout_loss = {
        .name = std::string(sharding::held_out_loss), .before = before_->loss, .after = after.loss};
    applied.canaries = probes_.canaries.looks(before_->answers, after.answers);
    applied.seconds.solve += seconds.solve;
    applied.seconds.communicate += seconds.communicate;
    return applied;
  }

  double waited() const { return ranks_.activities() == nullptr ? 0 : ranks_.activities()->waited(); }

  // Returns on rank 0 what each rank did in this command. Collective.
  std::vector<io::RankLoad> gathered_loads(double waits) {
    const io::RankLoad own{.waits = waits, .memory = memory_used_on(editor_.weights().device())};
    std::vector<io::RankLoad> loads;
    for (const auto& bytes : ranks_.gather(std::as_bytes(std::span(&own, 1)), 0, "gather loads"))
      std::memcpy(&loads.emplace_back(), bytes.data(), sizeof(own));
    return loads;
  }

  void replay_anchors(const io::SegmentReader& segment) {
    for (const std::int64_t layer : segment.anchor_layers())
      editor_.replay_anchors(layer, segment.anchors(layer).rolling);
  }

  // What is being written of a checkpoint does not change until it is written.
  bool accept() {
    checkpoints_.wait();
    return editor_.accept();
  }

  // What the probes see of the current weights.
  struct Seen {
    double loss = 0;
    std::vector<CanaryAnswer> answers;
  };

  // Looks once until the weights change. Collective.
  const Seen& looked() {
    if (!now_) now_ = Seen{.loss = probes_.loss.loss(), .answers = probes_.canaries.ask()};
    return *now_;
  }

  BatchEditor& editor_;
  Probes probes_;
  sharding::HostCommunicator& ranks_;
  bool waiting_ = false;    // a batch, to be accepted or reverted
  std::int64_t batch_ = 0;  // its number, or that of the last one
  std::optional<Seen> now_, before_;
  CheckpointWriter checkpoints_;
};

// The activity that each command is.
constexpr std::array command_names = {
    "apply batch",     "accept batch",    "revert batch",     "refresh least squares", "replay segment",
    "save checkpoint", "load checkpoint", "continue prompts", "score texts",           "stop"};
static_assert(command_names.size() == std::variant_size_v<sharding::Command>);

}  // namespace

void run_command_loop(BatchEditor& editor, const Probes& probes, sharding::HostCommunicator& ranks,
                      CommandQueue* queue) {
  io::check((ranks.rank() == 0) == (queue != nullptr), "rank 0 alone has the coordinator's commands");
  Worker worker(editor, probes, ranks);
  for (bool going = true; going;) {
    std::optional<CommandQueue::Entry> entry;
    std::vector<std::byte> bytes;
    if (queue != nullptr) {
      entry = queue->take_within(ranks.deadline() / 2);
      if (entry) bytes = sharding::encode(entry->first);
    }
    ranks.broadcast(bytes, 0, "receive command");
    if (bytes.empty()) continue;  // rank 0 is alive; the next command may be hours away
    const sharding::Command command = sharding::decode(bytes);
    const auto activity = ranks.activity(command_names[command.index()]);
    going = !std::holds_alternative<sharding::Stop>(command);
    sharding::Reply reply = std::visit([&](const auto& one) { return worker.carry_out(one); }, command);
    if (entry) entry->second(std::move(reply));
  }
}

}  // namespace anchorage::worker
