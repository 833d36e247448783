// What is to be edited, in which order, in which batches: the edits of a file, held against what the run's journal
// already has.
//
// The file says what is to stand in the end, the journal says what is_live. So the same file given again has
// nothing to do, an interrupted run resumes the batches that it would have had anyway, and edits appended to
// the file come next.
#pragma once

#include <cstdint>
#include <deque>
#include <optional>
#include <span>
#include <string>
#include <string_view>
#include <vector>

#include "coordinator/recorded_edits.hpp"
#include "io/edits/edit.hpp"
#include "io/edits/reader.hpp"

namespace anchorage::coordinator {

// An edit that is not in the weights, and why.
struct SetAside {
  std::string edit;  // its id; for a record that could not be read, its place in the file
  std::string reason;

  bool operator==(const SetAside&) const = default;
};

// What happens to an edit whose subject and prompt an earlier one has, with another target.
enum class OnConflict {
  supersede,  // it takes the earlier one's place, whose contribution is taken out of the weights in the same commit
  refuse,     // it is set aside
  keep_both   // it is written beside the earlier one
};

std::string name_of(OnConflict policy);                   // "keep-both"
OnConflict conflict_policy_named(std::string_view name);  // throws io::UserError that lists the names

// Two edits of one subject and prompt with different targets.
struct Conflict {
  io::Edit earlier;
  io::Edit later;
  std::optional<std::int64_t> committed_in;  // the earlier one's batch; none when both stand in the file
  OnConflict policy = OnConflict::supersede;

  // "edit b1 ('The CEO of Alphabet is' -> 'Sundar Pichai') replaces edit a7 (-> 'Larry Page'), committed in batch
  // 3"
  std::string text() const;
};

struct QueueOptions {
  std::int64_t batch_size = 32;
  std::optional<std::int64_t> limit{};  // only the first so many edits of the file
  OnConflict on_conflict = OnConflict::supersede;
  bool strict = false;  // an edit with the id of another one is an error
};

// What was found while the queue was filled.
struct QueueFindings {
  std::int64_t repeated = 0;           // is_live in the file before
  std::int64_t already_committed = 0;  // is_live in the weights
  std::vector<Conflict> conflicts;     // of which both are not refused
  // Unreadable records, edits with the id of another one that is_live, refused conflicts, and what a batch has set
  // aside before.
  std::vector<SetAside> set_aside;
  std::vector<RecordedEdit> removed;  // removed by a removal, and not written again
};

struct QueuedEdit {
  io::Edit edit;
  std::vector<io::RecordedPlace> supersedes{};  // whose place it takes

  bool operator==(const QueuedEdit&) const = default;
};

class Queue {
 public:
  // Throws io::UserError where `strict` asks for that.
  Queue(const io::EditsFile& file, std::span<const RecordedEdit> recorded, const QueueOptions& options);

  // More edits after those that are queued, as if the file had had them from the beginning: what is queued and what
  // is added are settled together, against what the journal has by now. Returns what was found of the added ones.
  // Throws as the constructor; then the queue is as it was.
  QueueFindings add(const io::EditsFile& file, std::span<const RecordedEdit> recorded);

  bool empty() const { return edits_.empty(); }
  std::int64_t edits() const { return std::ssize(edits_); }
  std::int64_t batches() const { return (edits() + batch_size_ - 1) / batch_size_; }
  const QueueFindings& findings() const { return findings_; }

  // The next batch, in the order of the file; the last one may be smaller.
  std::vector<QueuedEdit> take_batch() { return take(batch_size_); }
  // The next `count` edits, or what is left.
  std::vector<QueuedEdit> take(std::int64_t count);

 private:
  std::int64_t batch_size_;
  QueueOptions options_;
  std::deque<QueuedEdit> edits_;
  QueueFindings findings_;
};

}  // namespace anchorage::coordinator
