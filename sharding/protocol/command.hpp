// The commands of the coordinator to the workers, and their replies: plain values, so that each side can be
// tested without the other. Rank 0 sends every command to all ranks, which execute it together; rank 0
// replies.
#pragma once

#include <cstddef>
#include <cstdint>
#include <functional>
#include <span>
#include <string>
#include <string_view>
#include <variant>
#include <vector>

#include "io/edits/canaries.hpp"
#include "io/edits/edit.hpp"
#include "io/run/journal/segment.hpp"
#include "io/run/rank_load.hpp"

namespace anchorage::sharding {

// Names of what is measured of a batch (io::ProbeRecord).
inline constexpr std::string_view held_out_loss = "held-out loss";
inline constexpr std::string_view change_of_layer = "change of layer ";  // before its number

// Remove edits from the weights as if they had never been made.
struct Removal {
  std::vector<io::RecordedPlace> edits{};
  // Paths of the segments that make up the state, in their order, from that of the earliest edit on at least.
  std::vector<std::string> live{};

  bool operator==(const Removal&) const = default;
};

// Write these edits into the weights, in place of those that they supersede.
struct ApplyBatch {
  std::vector<io::Edit> edits{};
  Removal superseded{};    // removed first; nothing where it has no edits
  std::int64_t batch = 0;  // the number that its segment will have, for messages

  bool operator==(const ApplyBatch&) const = default;
};

// Take the batch into the state: the last command was its ApplyBatch, and its segment is committed.
struct AcceptBatch {
  bool operator==(const AcceptBatch&) const = default;
};

// Compute the least squares anew in which rounding has added up, for the state of these segments.
struct RefreshLeastSquares {
  std::vector<std::string> live{};  // paths, in their order

  bool operator==(const RefreshLeastSquares&) const = default;
};

// Revert the batch: restore, bit for bit, the state before the last command, which was an ApplyBatch.
struct RevertBatch {
  bool operator==(const RevertBatch&) const = default;
};

// Apply again what a committed segment did to the weights.
struct ReplaySegment {
  std::string path;

  bool operator==(const ReplaySegment&) const = default;
};

// Write the state into the folder, in the background: a checkpoint of the segment with this number and digest
// (io/run/checkpoint.hpp). Skipped while an earlier checkpoint is still being written.
struct SaveCheckpoint {
  std::string directory;
  std::int64_t segment = 0;
  std::string digest;

  bool operator==(const SaveCheckpoint&) const = default;
};

// Load the state of that checkpoint, in place of all replays up to its segment.
struct LoadCheckpoint {
  std::string directory;
  std::int64_t segment = 0;
  std::string anchors;  // path of the last live segment with anchors up to `segment`; empty where there is none

  bool operator==(const LoadCheckpoint&) const = default;
};

// Continue prompts greedily, as the edited model and as the unedited one. Changes nothing.
struct ContinuePrompts {
  std::vector<std::string> prompts{};
  std::int64_t max_new_tokens = 0;

  bool operator==(const ContinuePrompts&) const = default;
};

// Give the log-probabilities of completions after prompts. Changes nothing.
struct ScoreTexts {
  std::vector<std::string> prompts{}, completions{};  // as many of each

  bool operator==(const ScoreTexts&) const = default;
};

// Leave the command loop.
struct Stop {
  bool operator==(const Stop&) const = default;
};

using Command = std::variant<ApplyBatch, AcceptBatch, RevertBatch, RefreshLeastSquares, ReplaySegment,
                             SaveCheckpoint, LoadCheckpoint, ContinuePrompts, ScoreTexts, Stop>;

// Wall-clock seconds of rank 0 by activity.
struct BatchSeconds {
  double values = 0, solve = 0, communicate = 0, evaluate = 0;
};

// What the search for a batch's values has come to, with the values added and nothing written yet: means over the
// written edits of the negative log-probability per target token, over an edit's contexts, and of whether every
// target token is the most probable one in all of them.
struct ValuesFound {
  double nll = io::not_measured, match = io::not_measured;
};

struct BatchApplied {
  std::vector<io::EditRecord> edits;  // one per edit of the command, in its order
  std::vector<io::LayerRecord> layers;
  std::vector<io::AnchorRecord> anchors{};  // for methods that select anchors
  io::RemovalRecord removal{};              // of superseded edits
  io::ProbeRecord heldout_loss{};           // nats per token on text that no edit is about
  double target_norm = io::not_measured;    // mean over the edits, as found; of methods whose edits have one target
  ValuesFound values{};
  BatchSeconds seconds{};
  std::vector<io::CanaryLook> canaries{};
  std::vector<io::RankLoad> ranks{};  // one per rank
};

struct BatchAccepted {
  bool drifted = false;  // RefreshLeastSquares should follow
};
struct BatchReverted {};
struct LeastSquaresRefreshed {};
struct SegmentReplayed {
  bool drifted = false;  // RefreshLeastSquares should follow
};
struct CheckpointBegun {};
struct CheckpointLoaded {};
struct PromptsContinued {
  struct Texts {
    std::string edited;
    std::string base{};      // what the unedited model says
    std::string obstacle{};  // why the prompt cannot be continued; empty where it can
  };
  std::vector<Texts> texts;  // one per prompt
};
struct TextsScored {
  struct Score {
    std::vector<float> log_probabilities;  // natural logarithms, one per token of the completion
    bool argmax = false;                   // whether every token is the most probable one
    std::string obstacle{};                // why it cannot be scored; empty where it can
  };
  std::vector<Score> scores;  // one per completion
};
struct Stopped {};

using Reply = std::variant<BatchApplied, BatchAccepted, BatchReverted, LeastSquaresRefreshed, SegmentReplayed,
                           CheckpointBegun, CheckpointLoaded, PromptsContinued, TextsScored, Stopped>;

// The workers as the coordinator sees them. They call `done` once, on a thread of theirs, with the reply that
// belongs to the command. Submit one command at a time.
class Workers {
 public:
  virtual ~Workers() = default;
  virtual void submit(Command command, std::function<void(Reply)> done) = 0;
};

// Converts a command to the bytes in which it travels, and back. `decode` throws io::InternalError for bytes that
// `encode` does not write.
std::vector<std::byte> encode(const Command& command);
Command decode(std::span<const std::byte> bytes);

}  // namespace anchorage::sharding
