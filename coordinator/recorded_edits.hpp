// The edits that a journal records, and what happened to each.
#pragma once

#include <cstdint>
#include <optional>
#include <string>
#include <vector>

#include "io/edits/edit.hpp"
#include "io/run/journal/journal.hpp"

namespace anchorage::coordinator {

struct RecordedEdit {
  io::Edit edit;
  std::int64_t batch = 0;  // the number of its segment; `row` is its row there
  std::int32_t row = 0;
  io::EditState state = io::EditState::committed;
  std::string reason{};                         // why it was set aside
  std::optional<std::int64_t> removed_in{};     // the removal that removed it
  std::optional<std::int64_t> superseded_in{};  // the batch whose edit replaced it

  // Whether the weights contain it.
  bool is_live() const { return state == io::EditState::committed && !removed_in && !superseded_in; }
  io::RecordedPlace place() const { return {.id = edit.id, .segment = batch, .edit = row}; }
};

// Returns the edits of the segments that make up the state after segment `number`, oldest first, without
// those that were rolled back.
std::vector<RecordedEdit> recorded_edits(const io::Journal& journal, std::int64_t number);
std::vector<RecordedEdit> recorded_edits(const io::Journal& journal);  // at the journal's end

}  // namespace anchorage::coordinator
