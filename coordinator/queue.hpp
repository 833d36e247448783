// What is to be edited, in which order, in which batches: the edits of a file, held against what the run's journal
// already has.
//
// The file says what is to stand in the end, the journal says what stands. So the same file given again has nothing
// to do, an interrupted run goes on with the batches that it would have had anyway, and edits appended to the file
// come next.
#pragma once

#include <cstdint>
#include <deque>
#include <optional>
#include <span>
#include <string>
#include <vector>

#include "io/facts/edit.hpp"
#include "io/facts/reader.hpp"
#include "io/journal/journal.hpp"

namespace anchorage::coordinator {

// An edit of a committed segment, and what became of it.
struct RecordedEdit {
  io::Edit edit;
  std::int64_t batch = 0;
  io::EditState state = io::EditState::committed;
  std::string reason{};  // why it was set aside
};

// The edits of all committed batches, oldest first.
std::vector<RecordedEdit> recorded_edits(const io::Journal& journal);

// An edit that is not in the weights, and why.
struct SetAside {
  std::string edit;  // its id; for a record that could not be read, its place in the file
  std::string reason;

  bool operator==(const SetAside&) const = default;
};

// Two edits of one subject and prompt with different targets. The later one is written.
struct Conflict {
  io::Edit earlier;
  io::Edit later;
  std::optional<std::int64_t> committed_in;  // the earlier one's batch; none when both stand in the file

  // "edit b1 ('The CEO of Alphabet is' -> 'Sundar Pichai') replaces edit a7 (-> 'Larry Page'), committed in batch
  // 3"
  std::string text() const;
};

struct QueueOptions {
  std::int64_t batch_size = 32;
  std::optional<std::int64_t> limit{};  // only the first so many edits of the file
};

// What was found while the queue was filled.
struct QueueFindings {
  std::int64_t repeated = 0;           // stands in the file before
  std::int64_t already_committed = 0;  // stands in the weights
  std::vector<Conflict> conflicts;
  std::vector<SetAside> set_aside;  // unreadable records, and edits that a committed batch has set aside before
};

class Queue {
 public:
  Queue(const io::EditsFile& file, std::span<const RecordedEdit> recorded, const QueueOptions& options);

  bool empty() const { return edits_.empty(); }
  std::int64_t edits() const { return std::ssize(edits_); }
  std::int64_t batches() const { return (edits() + batch_size_ - 1) / batch_size_; }
  const QueueFindings& findings() const { return findings_; }

  // The next batch, in the order of the file; the last one may be smaller.
  std::vector<io::Edit> take_batch();

 private:
  std::int64_t batch_size_;
  std::deque<io::Edit> edits_;
  QueueFindings findings_;
};

}  // namespace anchorage::coordinator
