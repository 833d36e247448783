#include "coordinator/recorded_edits.hpp"

#include <algorithm>
#include <span>
#include <utility>

#include "io/error.hpp"
#include "io/run/journal/live_segments.hpp"

namespace anchorage::coordinator {

void RecordedEdits::add(const io::Journal& journal, const io::JournalEntry& entry) {
  const std::int64_t number = entry.header.batch;
  io::SegmentSummary segment = journal.summary(number);
  for (const io::RecordedPlace& place : segment.removed) {
    const auto first = first_of_.find(place.segment);
    const std::size_t row = static_cast<std::size_t>(place.edit);
    const bool is_live = first != first_of_.end() && first->second + row < edits_.size() &&
                         edits_[first->second + row].batch == place.segment;
    io::check(is_live, fmt::format("segment {} removes edit {} of segment {}, which is not live", number, place.id,
                                   place.segment));
    RecordedEdit& edit = edits_[first->second + row];
    (entry.header.kind == io::SegmentKind::batch ? edit.superseded_in : edit.removed_in) = number;
  }
  first_of_[number] = edits_.size();
  std::int32_t row = 0;
  for (io::EditSummary& one : segment.edits) {
    edits_.push_back({.edit = std::move(one.edit),
                      .batch = number,
                      .row = row++,
                      .state = one.state,
                      .reason = std::move(one.reason)});
  }
}

const std::vector<RecordedEdit>& RecordedEdits::at_end_of(const io::Journal& journal) {
  const auto appended = std::span(journal.list()).subspan(static_cast<std::size_t>(segments_));
  if (std::ranges::any_of(appended, [](const auto& entry) { return entry.header.rollback_to.has_value(); }))
    *this = {};
  for (const io::JournalEntry& entry : io::live_segments_from(journal, segments_)) add(journal, entry);
  segments_ = std::ssize(journal.list());
  return edits_;
}

std::vector<RecordedEdit> recorded_edits(const io::Journal& journal, std::int64_t number) {
  RecordedEdits recorded;
  for (const io::JournalEntry& entry : io::live_segments(journal, number)) recorded.add(journal, entry);
  return std::move(recorded.edits_);
}

std::vector<RecordedEdit> recorded_edits(const io::Journal& journal) {
  if (journal.empty()) return {};
  return recorded_edits(journal, std::ssize(journal.list()) - 1);
}

void for_records(const io::Journal& journal, std::span<const RecordedEdit* const> edits,
                 const std::function<void(const RecordedEdit&, const io::EditRecord&)>& use) {
  std::int64_t read = 0;
  std::vector<io::EditRecord> rows;
  for (const RecordedEdit* edit : edits) {
    if (edit->batch != read)
      rows = io::SegmentReader(journal.list()[static_cast<std::size_t>(edit->batch)].path).edits();
    read = edit->batch;
    use(*edit, rows.at(static_cast<std::size_t>(edit->row)));
  }
}

std::vector<RecordedEdit> expired_edits(const io::Journal& journal, const std::chrono::year_month_day& day) {
  const auto recorded = recorded_edits(journal);
  std::vector<const RecordedEdit*> live;
  for (const RecordedEdit& edit : recorded) {
    if (edit.is_live()) live.push_back(&edit);
  }
  std::vector<RecordedEdit> expired;
  for_records(journal, live, [&](const RecordedEdit& edit, const io::EditRecord& record) {
    const auto& path = journal.list()[static_cast<std::size_t>(edit.batch)].path;
    if (io::edit_from_json(record.request, path.string()).has_expired(day)) expired.push_back(edit);
  });
  return expired;
}

}  // namespace anchorage::coordinator
