// What the coordinator has to know of a segment: its edits and what it removes, without keys, updates and measures.
#pragma once

#include <string>
#include <vector>

#include "io/edits/edit.hpp"
#include "io/run/journal/segment.hpp"

namespace anchorage::io {

struct EditSummary {
  Edit edit;  // id, subject, prompt and target alone
  EditState state = EditState::committed;
  std::string reason{};  // why it was set aside

  bool operator==(const EditSummary&) const = default;
};

struct SegmentSummary {
  std::vector<EditSummary> edits;
  std::vector<RecordedPlace> removed;
  bool has_anchors = false;

  bool operator==(const SegmentSummary&) const = default;
};

// Throw UserError where an edit's request is none; `where` names the segment in the message.
SegmentSummary summary_of(const SegmentReader& segment, const std::string& where);
SegmentSummary summary_of(const BatchSegment& segment, const std::string& where);

}  // namespace anchorage::io
