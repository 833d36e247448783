// What the coordinator asks of the workers, and what they answer: plain values, so that each side can be tested
// without the other. Rank 0 sends every command to all ranks; all of them carry it out together; rank 0 answers.
#pragma once

#include <cstddef>
#include <cstdint>
#include <functional>
#include <span>
#include <string>
#include <variant>
#include <vector>

#include "io/edits/edit.hpp"
#include "io/run/journal/segment.hpp"

namespace anchorage::sharding {

// Take edits out of the weights as if they had never been made.
struct Removal {
  std::vector<io::RecordedPlace> edits{};
  std::vector<std::string> live{};  // paths of the segments that make up the state, in their order

  bool operator==(const Removal&) const = default;
};

// Write these edits into the weights, in the place of those that they supersede.
struct ApplyBatch {
  std::vector<io::Edit> edits{};
  Removal superseded{};    // first; of no edits: nothing
  std::int64_t batch = 0;  // the number its segment will have, for messages

  bool operator==(const ApplyBatch&) const = default;
};

// Go back, bit for bit, to the state before the last command, which was an ApplyBatch.
struct RevertBatch {
  bool operator==(const RevertBatch&) const = default;
};

// Add what a committed segment did to the weights again.
struct ReplaySegment {
  std::string path;

  bool operator==(const ReplaySegment&) const = default;
};

// Write what the state is made of into the folder, in the background: a checkpoint of the segment with this number
// and digest (io/run/checkpoint.hpp). One that is still being written is let finish, and this one left out.
struct SaveCheckpoint {
  std::string directory;
  std::int64_t segment = 0;
  std::string digest;

  bool operator==(const SaveCheckpoint&) const = default;
};

// Take over the state of that checkpoint, in the place of all replays up to its segment.
struct LoadCheckpoint {
  std::string directory;
  std::int64_t segment = 0;
  std::string anchors;  // path of the last live segment with anchors by then; empty where there is none

  bool operator==(const LoadCheckpoint&) const = default;
};

// Leave the command loop.
struct Stop {
  bool operator==(const Stop&) const = default;
};

using Command = std::variant<ApplyBatch, RevertBatch, ReplaySegment, SaveCheckpoint, LoadCheckpoint, Stop>;

// Wall-clock seconds of rank 0 by activity.
struct BatchSeconds {
  double values = 0, solve = 0, communicate = 0, evaluate = 0;
};

struct BatchApplied {
  std::vector<io::EditRecord> edits;  // one an edit of the command, in its order
  std::vector<io::LayerRecord> layers;
  std::vector<io::AnchorRecord> anchors{};  // of methods that select anchors
  io::RemovalRecord removal{};              // of superseded edits
  io::ProbeRecord heldout_loss{};           // nats a token on text that no edit is about
  BatchSeconds seconds{};
};

struct BatchReverted {};
struct SegmentReplayed {};
struct CheckpointBegun {};
struct CheckpointLoaded {};
struct Stopped {};

using Reply =
    std::variant<BatchApplied, BatchReverted, SegmentReplayed, CheckpointBegun, CheckpointLoaded, Stopped>;

// The workers as the coordinator sees them. `done` is called once, on a thread of the workers', with the reply that
// belongs to the command. One command at a time.
class Workers {
 public:
  virtual ~Workers() = default;
  virtual void submit(Command command, std::function<void(Reply)> done) = 0;
};

// The bytes that a command travels as. `decode` throws io::InternalError for bytes that `encode` does not write.
std::vector<std::byte> encode(const Command& command);
Command decode(std::span<const std::byte> bytes);

}  // namespace anchorage::sharding
