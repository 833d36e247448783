// The edits that a journal records, and what happened to each.
#pragma once

#include <chrono>
#include <cstdint>
#include <functional>
#include <optional>
#include <span>
#include <string>
#include <unordered_map>
#include <vector>

#include "io/edits/edit.hpp"
#include "io/run/journal/journal.hpp"

namespace anchorage::coordinator {

struct RecordedEdit {
  io::Edit edit;           // id, subject, prompt and target alone
  std::int64_t batch = 0;  // the number of its segment; `row` is its row there
  std::int32_t row = 0;
  io::EditState state = io::EditState::committed;
  std::string reason{};                         // why it was set aside
  std::optional<std::int64_t> removed_in{};     // the removal that removed it
  std::optional<std::int64_t> superseded_in{};  // the batch whose edit replaced it

  // Whether the weights contain it.
  bool is_live() const { return state == io::EditState::committed && !removed_in && !superseded_in; }
  bool operator==(const RecordedEdit&) const = default;
  io::RecordedPlace place() const { return {.id = edit.id, .segment = batch, .edit = row}; }
};

// Returns the edits of the segments that make up the state after segment `number`, oldest first, without
// those that were rolled back.
std::vector<RecordedEdit> recorded_edits(const io::Journal& journal, std::int64_t number);
std::vector<RecordedEdit> recorded_edits(const io::Journal& journal);  // at the journal's end

// Calls `use` with each of these edits and its row as its segment has it, request and measures. Reads a segment
// once for edits of it that follow each other.
void for_records(const io::Journal& journal, std::span<const RecordedEdit* const> edits,
                 const std::function<void(const RecordedEdit&, const io::EditRecord&)>& use);

// Returns the live edits at the journal's end that hold no more on this day (io::Edit::expires). Reads the segments
// of all live edits.
std::vector<RecordedEdit> expired_edits(const io::Journal& journal, const std::chrono::year_month_day& day);

// The recorded edits of a journal that grows: each segment is read once, or again after a rollback.
class RecordedEdits {
 public:
  // Brings them up to date with what was appended to the journal since the last call.
  const std::vector<RecordedEdit>& at_end_of(const io::Journal& journal);

 private:
  friend std::vector<RecordedEdit> recorded_edits(const io::Journal& journal, std::int64_t number);
  void add(const io::Journal& journal, const io::JournalEntry& entry);

  std::vector<RecordedEdit> edits_;
  std::unordered_map<std::int64_t, std::size_t> first_of_;  // the place in `edits_` of each segment's first edit
  std::int64_t segments_ = 0;                               // of the journal, taken so far
};

}  // namespace anchorage::coordinator
