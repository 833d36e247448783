#include "io/run/journal/segment_summary.hpp"

#include <utility>

namespace anchorage::io {
namespace {

SegmentSummary summary_of(std::vector<EditRecord> edits, std::vector<RecordedPlace> removed, bool has_anchors,
                          const std::string& where) {
  SegmentSummary summary{.edits = {}, .removed = std::move(removed), .has_anchors = has_anchors};
  summary.edits.reserve(edits.size());
  for (EditRecord& record : edits) {
    Edit edit = edit_from_json(record.request, where);
    summary.edits.push_back({.edit = {.id = std::move(edit.id),
                                      .subject = std::move(edit.subject),
                                      .prompt = std::move(edit.prompt),
                                      .target = std::move(edit.target)},
                             .state = record.state,
                             .reason = std::move(record.reason)});
  }
  return summary;
}

}  // namespace

SegmentSummary summary_of(const SegmentReader& segment, const std::string& where) {
  return summary_of(segment.edits(), segment.removed(), !segment.anchor_layers().empty(), where);
}

SegmentSummary summary_of(const BatchSegment& segment, const std::string& where) {
  return summary_of(segment.edits, segment.removal.edits, !segment.anchors.empty(), where);
}

}  // namespace anchorage::io
