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

#include "io/facts/edit.hpp"
#include "io/journal/segment.hpp"

namespace anchorage::sharding {

// Write these edits into the weights.
struct ApplyBatch {
  std::vector<io::Edit> edits;

  bool operator==(const ApplyBatch&) const = default;
};

// Add what a committed segment did to the weights again.
struct ReplaySegment {
  std::string path;

  bool operator==(const ReplaySegment&) const = default;
};

// Leave the command loop.
struct Stop {
  bool operator==(const Stop&) const = default;
};

using Command = std::variant<ApplyBatch, ReplaySegment, Stop>;

// Wall-clock seconds of rank 0 by activity.
struct BatchSeconds {
  double values = 0, solve = 0, communicate = 0, evaluate = 0;
};

struct BatchApplied {
  std::vector<io::EditRecord> edits;  // one an edit of the command, in its order
  std::vector<io::LayerRecord> layers;
  std::vector<io::AnchorRecord> anchors;  // of methods that select anchors
  BatchSeconds seconds;
};

struct SegmentReplayed {};
struct Stopped {};

using Reply = std::variant<BatchApplied, SegmentReplayed, Stopped>;

// The workers as the coordinator sees them. `done` is called once, on a thread of the workers', with the reply that
// belongs to the command. One command at a time.
class Workers {
 public:
  virtual ~Workers() = default;
  virtual void submit(Command command, std::function<void(Reply)> done) = 0;
};

// The bytes that a command travels as.
std::vector<std::byte> encode(const Command& command);
Command decode(std::span<const std::byte> bytes);

}  // namespace anchorage::sharding
