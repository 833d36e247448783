// Decides what is edited, in which order and in which batches: compares the edits of a file with what the
// run's journal already has.
//
// The file says which edits must be live in the end, the journal says which are live now. So the same file
// given again leaves nothing to do, an interrupted run continues with the same batches as without the
// interruption, and edits appended to the file come next.
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

// What happens to an edit with the subject and prompt of an earlier edit and another target.
enum class OnConflict {
  supersede,  // it replaces the earlier edit, which the same commit removes from the weights
  refuse,     // it is set aside
  keep_both   // it is written in addition to the earlier one
};

std::string name_of(OnConflict policy);                   // "keep-both"
OnConflict conflict_policy_named(std::string_view name);  // throws io::UserError that lists the names

// Two edits with the same subject and prompt and different targets.
struct Conflict {
  io::Edit earlier;
  io::Edit later;
  std::optional<std::int64_t> committed_in;  // the earlier edit's batch; none when both are in the file
  OnConflict policy = OnConflict::supersede;

  // "edit b1 ('The CEO of Alphabet is' -> 'Sundar Pichai') replaces edit a7 (-> 'Larry Page'), committed in batch
  // 3"
  std::string text() const;
};

struct QueueOptions {
  std::int64_t batch_size = 32;
  std::optional<std::int64_t> limit{};  // only the first so many edits of the file
  OnConflict on_conflict = OnConflict::supersede;
  bool strict = false;            // an edit with the id of another live edit is an error
  bool require_approval = false;  // edits that nobody but their author has approved are set aside, as proposed
};

// Findings from filling the queue.
struct QueueFindings {
  std::int64_t repeated = 0;           // edits that the file has already
  std::int64_t already_committed = 0;  // edits that are live already
  std::vector<Conflict> conflicts;     // without the refused ones
  // Unreadable records, edits that wait for approval, those with the id of another live edit, refused conflicts,
  // and edits that an earlier batch set aside.
  std::vector<SetAside> set_aside;
  std::vector<RecordedEdit> removed;  // removed by `remove`, and not written again
};

struct QueuedEdit {
  io::Edit edit;
  std::vector<io::RecordedPlace> supersedes{};  // the edits that it replaces

  bool operator==(const QueuedEdit&) const = default;
};

class Queue {
 public:
  // Compares the file with the recorded edits. Throws io::UserError where `strict` makes a finding an error.
  Queue(const io::EditsFile& file, std::span<const RecordedEdit> recorded, const QueueOptions& options);

  // Adds edits after the queued ones, as if the file had had them from the beginning: compares queued and
  // added edits together with what the journal has by now. Returns the findings on the added ones. Throws as
  // the constructor does; the queue is then unchanged.
  QueueFindings add(const io::EditsFile& file, std::span<const RecordedEdit> recorded);

  bool empty() const { return edits_.empty(); }
  std::int64_t edits() const { return std::ssize(edits_); }
  std::int64_t batches() const { return (edits() + batch_size_ - 1) / batch_size_; }
  const QueueFindings& findings() const { return findings_; }

  // Takes the next batch, in the order of the file; the last one may be smaller.
  std::vector<QueuedEdit> take_batch() { return take(batch_size_); }
  // Takes the next `count` edits, or the rest.
  std::vector<QueuedEdit> take(std::int64_t count);

 private:
  std::int64_t batch_size_;
  QueueOptions options_;
  std::deque<QueuedEdit> edits_;
  QueueFindings findings_;
};

}  // namespace anchorage::coordinator
