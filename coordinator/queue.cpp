#include "coordinator/queue.hpp"

#include <fmt/format.h>

#include <algorithm>
#include <iterator>
#include <map>
#include <set>
#include <string_view>
#include <utility>

#include "io/error.hpp"

namespace anchorage::coordinator {
namespace {

// Edits with the same subject and prompt ask the same question; the target is the answer.
using Question = std::pair<std::string_view, std::string_view>;

Question question_of(const io::Edit& edit) {
  return {edit.subject, edit.prompt};
}

// The edits that the file's last word on each question leaves, each where it stands first.
std::vector<io::Edit> settle(std::span<const io::Edit> edits, QueueFindings& findings) {
  std::map<Question, const io::Edit*> last_word;
  for (const io::Edit& edit : edits) last_word[question_of(edit)] = &edit;

  std::vector<io::Edit> settled;
  std::set<Question> questions;
  for (const io::Edit& edit : edits) {
    const io::Edit& last = *last_word.at(question_of(edit));
    if (edit.target != last.target) {
      findings.conflicts.push_back({.earlier = edit, .later = last, .committed_in = {}});
    } else if (questions.insert(question_of(edit)).second) {
      settled.push_back(edit);
    } else {
      ++findings.repeated;
    }
  }
  return settled;
}

// What the journal says to one question.
struct Standing {
  const RecordedEdit* committed = nullptr;
  const RecordedEdit* set_aside = nullptr;  // after the committed one
};

std::map<Question, Standing> standing_of(std::span<const RecordedEdit> recorded) {
  std::map<Question, Standing> standing;
  for (const RecordedEdit& record : recorded) {
    Standing& now = standing[question_of(record.edit)];
    if (record.state == io::EditState::committed) {
      now = {.committed = &record};
    } else {
      now.set_aside = &record;
    }
  }
  return standing;
}

bool answers(const RecordedEdit* record, const io::Edit& edit) {
  return record != nullptr && record->edit.target == edit.target;
}

}  // namespace

std::vector<RecordedEdit> recorded_edits(const io::Journal& journal) {
  std::vector<RecordedEdit> recorded;
  for (const io::JournalEntry& entry : journal.list()) {
    if (entry.header.kind != io::SegmentKind::batch) continue;
    for (io::EditRecord& record : io::SegmentReader(entry.path).edits()) {
      recorded.push_back({.edit = io::edit_from_json(record.request, entry.path.string()),
                          .batch = entry.header.batch,
                          .state = record.state,
                          .reason = std::move(record.reason)});
    }
  }
  return recorded;
}

std::string Conflict::text() const {
  const std::string where =
      committed_in ? fmt::format("committed in batch {}", *committed_in) : "earlier in the file";
  return fmt::format("edit {} ('{}' -> '{}') replaces edit {} (-> '{}'), {}", later.id, later.filled_prompt(),
                     later.target, earlier.id, earlier.target, where);
}

Queue::Queue(const io::EditsFile& file, std::span<const RecordedEdit> recorded, const QueueOptions& options)
    : batch_size_(options.batch_size) {
  io::check(batch_size_ > 0, "a batch of no edits");
  for (const io::Rejected& rejected : file.rejected)
    findings_.set_aside.push_back({rejected.where, rejected.reason});

  std::span<const io::Edit> edits = file.edits;
  if (options.limit) edits = edits.first(std::min(edits.size(), static_cast<std::size_t>(*options.limit)));
  const auto standing = standing_of(recorded);
  for (const io::Edit& edit : settle(edits, findings_)) {
    const auto found = standing.find(question_of(edit));
    const auto [committed, set_aside] = found == standing.end() ? Standing{} : found->second;
    if (answers(set_aside, edit)) {
      findings_.set_aside.push_back({edit.id, fmt::format("batch {}: {}", set_aside->batch, set_aside->reason)});
    } else if (answers(committed, edit)) {
      ++findings_.already_committed;
    } else {
      if (committed) findings_.conflicts.push_back({committed->edit, edit, committed->batch});
      edits_.push_back(edit);
    }
  }
}

std::vector<io::Edit> Queue::take_batch() {
  const auto end = edits_.begin() + std::min(batch_size_, edits());
  std::vector<io::Edit> batch(std::move_iterator(edits_.begin()), std::move_iterator(end));
  edits_.erase(edits_.begin(), end);
  return batch;
}

}  // namespace anchorage::coordinator
