#include "io/run/journal/layout.hpp"

#include <algorithm>
#include <functional>

#include "io/error.hpp"

namespace anchorage::io {

std::string name_of(SegmentKind kind) {
  switch (kind) {
    case SegmentKind::base:
      return "base";
    case SegmentKind::batch:
      return "batch";
    case SegmentKind::removal:
      return "removal";
    case SegmentKind::rollback:
      return "rollback";
  }
  throw InternalError("unknown kind of segment");
}

std::string name_of(EditState state) {
  switch (state) {
    case EditState::committed:
      return "committed";
    case EditState::set_aside:
      return "set_aside";
  }
  throw InternalError("unknown state of an edit");
}

std::string name_of(UpdateKind kind) {
  switch (kind) {
    case UpdateKind::low_rank:
      return "low_rank";
  }
  throw InternalError("unknown kind of update");
}

std::string segment_file_name(std::int64_t batch) {
  check(batch >= 0 && batch < 100'000'000, fmt::format("segment number {}", batch));
  return fmt::format("seg-{:08d}.h5", batch);
}

namespace layout {
namespace {

bool is_full(const Matrix& matrix) {
  return matrix.rows >= 0 && matrix.columns >= 0 &&
         matrix.values.size() == static_cast<std::size_t>(matrix.rows) * static_cast<std::size_t>(matrix.columns);
}

std::string layer_diagnostic(const LayerRecord& layer, std::size_t edits) {
  const auto columns = static_cast<std::int64_t>(layer.edit_of_column.size());
  if (!is_full(layer.keys) || !is_full(layer.u) || !is_full(layer.v)) return "a matrix whose values do not fill it";
  if (layer.keys.rows != 0 && layer.keys.rows != static_cast<std::int64_t>(edits)) {
    return fmt::format("{} keys for {} edits", layer.keys.rows, edits);
  }
  if (layer.u.columns != columns || layer.v.columns != columns) {
    return fmt::format("u with {} columns, v with {}, edits for {}", layer.u.columns, layer.v.columns, columns);
  }
  const auto is_edit = [&](std::int32_t edit) { return edit >= 0 && static_cast<std::size_t>(edit) < edits; };
  if (!std::ranges::all_of(layer.edit_of_column, is_edit)) return "a column of an edit that there is not";
  return layer.residuals == SparseRows{} ? "" : diagnostic_of(layer.residuals, edits);
}

std::string removal_diagnostic(const BatchSegment& segment) {
  const RemovalRecord& removal = segment.removal;
  const auto count = static_cast<std::int64_t>(removal.edits.size());
  for (const RecordedPlace& place : removal.edits) {
    if (place.segment < 1 || place.segment >= segment.header.batch || place.edit < 0)
      return fmt::format("a removed edit at row {} of segment {}", place.edit, place.segment);
  }
  for (const RemovedLayer& layer : removal.layers) {
    if (!is_full(layer.keys) || !is_full(layer.u) || !is_full(layer.v))
      return "a matrix whose values do not fill it";
    if (layer.keys.rows != count || layer.u.columns != count || layer.v.columns != count) {
      return fmt::format("{} keys and {} columns of u, {} of v for {} removed edits", layer.keys.rows,
                         layer.u.columns, layer.v.columns, count);
    }
  }
  if (segment.header.kind == SegmentKind::removal && count == 0) return "a removal that removes nothing";
  return "";
}

std::string kind_diagnostic(const BatchSegment& segment) {
  const SegmentKind kind = segment.header.kind;
  if (segment.base.has_value() != (kind == SegmentKind::base)) {
    return "a base record in another kind of segment, or a base segment without one";
  }
  if (segment.header.rollback_to.has_value() != (kind == SegmentKind::rollback)) {
    return "rollback_to in another kind of segment, or a rollback without it";
  }
  if (kind == SegmentKind::rollback &&
      (*segment.header.rollback_to < 0 || *segment.header.rollback_to >= segment.header.batch)) {
    return fmt::format("a rollback to segment {}", *segment.header.rollback_to);
  }
  const bool has_own = !segment.edits.empty() || !segment.layers.empty();
  if (has_own && kind != SegmentKind::batch) return "edits in a segment that is no batch";
  if (!segment.removal.edits.empty() && kind != SegmentKind::batch && kind != SegmentKind::removal) {
    return "removed edits in a base or a rollback";
  }
  return "";
}

// Whether layers are ascending and without duplicates, as the reader returns them.
template <class Record>
bool are_ordered(const std::vector<Record>& records) {
  return std::ranges::adjacent_find(records, std::greater_equal<>(), &Record::layer) == records.end();
}

}  // namespace

std::string diagnostic_of(const SparseRows& sparse, std::size_t rows) {
  if (sparse.offsets.size() != rows + 1) return fmt::format("{} offsets for {} rows", sparse.offsets.size(), rows);
  if (sparse.offsets.front() != 0 || !std::ranges::is_sorted(sparse.offsets))
    return "offsets that do not ascend from 0";
  const auto count = static_cast<std::size_t>(sparse.offsets.back());
  if (sparse.indices.size() != count || sparse.values.size() != count) {
    return fmt::format("{} indices and {} values where the offsets end at {}", sparse.indices.size(),
                       sparse.values.size(), count);
  }
  return "";
}

std::string diagnostic_of(const BatchSegment& segment) {
  if (std::string diagnostic = kind_diagnostic(segment); !diagnostic.empty()) return diagnostic;
  if (const std::string diagnostic = removal_diagnostic(segment); !diagnostic.empty())
    return "removal: " + diagnostic;
  if (!are_ordered(segment.layers) || !are_ordered(segment.anchors) || !are_ordered(segment.removal.layers))
    return "layers that do not ascend";
  for (const LayerRecord& layer : segment.layers) {
    const std::string diagnostic = layer_diagnostic(layer, segment.edits.size());
    if (!diagnostic.empty()) return fmt::format("layer {}: {}", layer.layer, diagnostic);
  }
  for (const AnchorRecord& anchors : segment.anchors) {
    const std::string diagnostic = diagnostic_of(anchors.chosen, segment.edits.size());
    if (!diagnostic.empty()) return fmt::format("anchors of layer {}: {}", anchors.layer, diagnostic);
  }
  return "";
}

}  // namespace layout
}  // namespace anchorage::io
