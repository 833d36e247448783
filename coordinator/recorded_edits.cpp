#include "coordinator/recorded_edits.hpp"

#include <map>
#include <utility>

#include "io/error.hpp"
#include "io/run/journal/live_segments.hpp"

namespace anchorage::coordinator {
namespace {

std::vector<RecordedEdit> edits_of(const std::vector<io::JournalEntry>& live) {
  std::vector<RecordedEdit> recorded;
  std::map<std::pair<std::int64_t, std::int32_t>, std::size_t> places;
  for (const io::JournalEntry& entry : live) {
    const io::SegmentReader segment(entry.path);
    for (const io::RecordedPlace& place : segment.removed()) {
      const auto found = places.find({place.segment, place.edit});
      io::check(found != places.end(), fmt::format("segment {} removes edit {} of segment {}, which is not live",
                                                   entry.header.batch, place.id, place.segment));
      RecordedEdit& edit = recorded[found->second];
      (entry.header.kind == io::SegmentKind::batch ? edit.superseded_in : edit.removed_in) = entry.header.batch;
    }
    std::int32_t row = 0;
    for (io::EditRecord& record : segment.edits()) {
      places[{entry.header.batch, row}] = recorded.size();
      recorded.push_back({.edit = io::edit_from_json(record.request, entry.path.string()),
                          .batch = entry.header.batch,
                          .row = row++,
                          .state = record.state,
                          .reason = std::move(record.reason)});
    }
  }
  return recorded;
}

}  // namespace

std::vector<RecordedEdit> recorded_edits(const io::Journal& journal, std::int64_t number) {
  return edits_of(io::live_segments(journal, number));
}

std::vector<RecordedEdit> recorded_edits(const io::Journal& journal) {
  return edits_of(io::live_segments(journal));
}

}  // namespace anchorage::coordinator
