#include "coordinator/batch_report.hpp"

#include <algorithm>
#include <nlohmann/json.hpp>
#include <utility>

#include "coordinator/json_text.hpp"
#include "io/date.hpp"
#include "io/run/journal/live_segments.hpp"

namespace anchorage::coordinator {
namespace {

constexpr std::size_t most_canaries_told = 100;

io::SegmentHeader header_of(io::SegmentKind kind, std::int64_t batch, const Provenance& provenance) {
  return {.kind = kind,
          .batch = batch,
          .previous = {},
          .utc = io::utc_now(),
          .version = provenance.version,
          .world = provenance.world,
          .seed = provenance.seed};
}

// Returns the drift after the segment; empty where it wrote nothing.
Drift drift_after(const io::SegmentReader& segment) {
  Drift drift;
  const auto layers = segment.layers();
  const auto norms = segment.norms();
  for (std::size_t i = 0; i < layers.size(); ++i) drift[layers[i]] = norms[i].drift();
  if (!drift.empty()) return drift;
  for (const io::RemovedLayer& layer : segment.removal().layers) drift[layer.layer] = layer.norms.drift();
  return drift;
}

// Those that do not hold, and then the others, as many as a document has.
std::vector<io::CanaryLook> worst_of(std::vector<io::CanaryLook> looks) {
  std::ranges::stable_sort(looks, {}, &io::CanaryLook::holds);
  looks.resize(std::min(looks.size(), most_canaries_told));
  return looks;
}

bool was_committed(const io::EditRecord& edit) {
  return edit.state == io::EditState::committed;
}

// The mean is over the dimensions that have a rolling score.
BatchReport::Anchors summary_of(const io::AnchorRecord& anchors) {
  double sum = 0;
  std::int64_t scored = 0;
  for (const double score : anchors.rolling) {
    if (score <= 0) continue;
    sum += score;
    ++scored;
  }
  return {.layer = anchors.layer,
          .count = anchors.kept + anchors.entered,
          .score = scored > 0 ? sum / static_cast<double>(scored) : io::not_measured};
}

}  // namespace

io::BatchSegment base_segment(io::BaseRecord base, const Provenance& provenance) {
  io::BatchSegment segment;
  segment.header = header_of(io::SegmentKind::base, 0, provenance);
  segment.base = std::move(base);
  return segment;
}

io::BatchSegment removal_segment(io::RemovalRecord removal, std::int64_t number, const Provenance& provenance) {
  io::BatchSegment segment;
  segment.header = header_of(io::SegmentKind::removal, number, provenance);
  segment.removal = std::move(removal);
  return segment;
}

io::BatchSegment rollback_segment(std::int64_t to, std::int64_t number, const Provenance& provenance) {
  io::BatchSegment segment;
  segment.header = header_of(io::SegmentKind::rollback, number, provenance);
  segment.header.rollback_to = to;
  return segment;
}

Drift drift_of(const io::Journal& journal) {
  if (journal.empty()) return {};
  Drift drift;
  for (auto number = io::last_live_segment(journal, std::ssize(journal.list()) - 1); number > 0 && drift.empty();
       number = io::last_live_segment(journal, number - 1)) {
    drift = drift_after(io::SegmentReader(journal.list()[static_cast<std::size_t>(number)].path));
  }
  return drift;
}

io::BatchSegment batch_segment(sharding::BatchApplied applied, io::GuardRecord guard, std::int64_t batch,
                               const Provenance& provenance) {
  io::BatchSegment segment;
  segment.header = header_of(io::SegmentKind::batch, batch, provenance);
  segment.edits = std::move(applied.edits);
  const bool wrote = std::ranges::any_of(segment.edits, was_committed);
  if (wrote) {
    segment.layers = std::move(applied.layers);
    segment.anchors = std::move(applied.anchors);
    segment.removal = std::move(applied.removal);
  }
  segment.guard = std::move(guard);
  return segment;
}

Seconds& operator+=(Seconds& sum, const Seconds& seconds) {
  sum.total += seconds.total;
  sum.activities.values += seconds.activities.values;
  sum.activities.solve += seconds.activities.solve;
  sum.activities.communicate += seconds.activities.communicate;
  sum.activities.evaluate += seconds.activities.evaluate;
  sum.ranks.resize(std::max(sum.ranks.size(), seconds.ranks.size()));
  for (std::size_t rank = 0; rank < seconds.ranks.size(); ++rank) {
    sum.ranks[rank].waits += seconds.ranks[rank].waits;
    sum.ranks[rank].memory = std::max(sum.ranks[rank].memory, seconds.ranks[rank].memory);
  }
  return sum;
}

BatchReport report_of(const io::BatchSegment& segment, const Seconds& seconds) {
  BatchReport report{
      .batch = segment.header.batch, .utc = segment.header.utc, .set_aside = {}, .seconds = seconds, .drift = {}};
  double nll_before = 0, nll_after = 0, match_before = 0, match_after = 0;
  for (const io::EditRecord& edit : segment.edits) {
    if (!was_committed(edit)) {
      report.set_aside.push_back({edit.id, edit.reason});
      continue;
    }
    ++report.committed;
    nll_before += edit.nll_before;
    nll_after += edit.nll_after;
    match_before += edit.match_before;
    match_after += edit.match_after;
  }
  const auto count = static_cast<double>(report.committed);  // without any, the means are 0 / 0: not measured
  report.nll_before = nll_before / count;
  report.nll_after = nll_after / count;
  report.match_before = match_before / count;
  report.match_after = match_after / count;
  for (const io::LayerRecord& layer : segment.layers) {
    report.drift[layer.layer] = layer.norms.drift();
  }
  report.edits = segment.edits;
  report.superseded = segment.removal.edits;
  report.guard = segment.guard;
  for (const io::AnchorRecord& anchors : segment.anchors) report.anchors.push_back(summary_of(anchors));
  return report;
}

BatchReport report_of(const io::SegmentReader& segment, const Seconds& seconds) {
  io::BatchSegment outline{.header = segment.header(),
                           .edits = segment.edits(),
                           .layers = {},
                           .anchors = {},
                           .guard = segment.guard(),
                           .removal = {.edits = segment.removed(), .layers = {}},
                           .base = {}};
  for (const std::int64_t layer : segment.anchor_layers()) outline.anchors.push_back(segment.anchors(layer));
  BatchReport report = report_of(outline, seconds);
  report.drift = drift_after(segment);
  return report;
}

nlohmann::ordered_json document_of(const Drift& drift) {
  auto layers = nlohmann::ordered_json::array();
  for (const auto& [layer, value] : drift) layers.push_back({{"layer", layer}, {"drift", value}});
  return layers;
}

nlohmann::ordered_json document_of(const std::vector<io::RankLoad>& ranks) {
  auto list = nlohmann::ordered_json::array();
  for (const io::RankLoad& rank : ranks)
    list.push_back({{"wait_seconds", rank.waits}, {"memory_bytes", rank.memory}});
  return list;
}

nlohmann::ordered_json document_of(const sharding::ValuesFound& values) {
  return {{"nll", values.nll}, {"match", values.match}};
}

nlohmann::ordered_json document_of(const BatchReport& report) {
  using nlohmann::ordered_json;
  ordered_json set_aside = ordered_json::array(), superseded = ordered_json::array(), edits = ordered_json::array(),
               probes = ordered_json::array(), anchors = ordered_json::array(), canaries = ordered_json::array();
  for (const SetAside& edit : report.set_aside) set_aside.push_back({{"id", edit.edit}, {"reason", edit.reason}});
  for (const io::RecordedPlace& place : report.superseded)
    superseded.push_back({{"id", place.id}, {"batch", place.segment}});
  for (const io::EditRecord& record : report.edits) {
    const io::Edit edit = io::edit_from_json(record.request, "a recorded edit");
    edits.push_back({{"id", record.id},
                     {"subject", edit.subject},
                     {"prompt", edit.prompt},
                     {"target", edit.target},
                     {"state", io::name_of(record.state)},
                     {"reason", text_or_null(record.reason)},
                     {"nll_before", record.nll_before},
                     {"nll_after", record.nll_after}});
  }
  for (const io::ProbeRecord& probe : report.guard.probes)
    probes.push_back({{"name", probe.name}, {"before", probe.before}, {"after", probe.after}});
  for (const auto& [layer, count, score] : report.anchors)
    anchors.push_back({{"layer", layer}, {"anchors", count}, {"score", score}});
  for (const io::CanaryLook& look : worst_of(report.canaries)) {
    canaries.push_back({{"id", look.id},
                        {"prompt", look.prompt},
                        {"expected", look.expected},
                        {"said", look.said_after},
                        {"held_before", look.held_before},
                        {"holds", look.holds}});
  }
  const sharding::BatchSeconds& activities = report.seconds.activities;
  const double in_activities = activities.values + activities.solve + activities.communicate + activities.evaluate;
  ordered_json seconds;
  if (report.seconds.total > 0) seconds["total"] = report.seconds.total;
  if (in_activities > 0) {
    seconds["values"] = activities.values;
    seconds["solve"] = activities.solve;
    seconds["communicate"] = activities.communicate;
    seconds["evaluate"] = activities.evaluate;
  }
  return {{"batch", report.batch},
          {"utc", report.utc},
          {"committed", report.committed},
          {"set_aside", set_aside},
          {"superseded", superseded},
          {"match_before", report.match_before},
          {"match_after", report.match_after},
          {"nll_before", report.nll_before},
          {"nll_after", report.nll_after},
          {"values", document_of(report.values)},
          {"target_norm", report.target_norm},
          {"seconds", seconds},
          {"layers", document_of(report.drift)},
          {"anchors", anchors},
          {"probes", probes},
          {"decision", report.guard.decision},
          {"canaries", canaries},
          {"ranks", document_of(report.seconds.ranks)},
          {"edits", edits}};
}

RemovalReport removal_report_of(const io::BatchSegment& segment) {
  RemovalReport report{
      .segment = segment.header.batch, .utc = segment.header.utc, .removed = segment.removal.edits, .drift = {}};
  for (const io::RemovedLayer& layer : segment.removal.layers) report.drift[layer.layer] = layer.norms.drift();
  return report;
}

std::string metrics_line(const BatchReport& report) {
  const sharding::BatchSeconds& activities = report.seconds.activities;
  auto drift = nlohmann::ordered_json::object();
  for (const auto& [layer, value] : report.drift) drift[std::to_string(layer)] = value;
  const nlohmann::ordered_json line = {
      {"batch", report.batch},
      {"utc", report.utc},
      {"edits", {{"committed", report.committed}, {"set_aside", report.set_aside.size()}}},
      {"nll", {{"before", report.nll_before}, {"after", report.nll_after}}},
      {"match", {{"before", report.match_before}, {"after", report.match_after}}},
      {"values", document_of(report.values)},
      {"target_norm", report.target_norm},
      {"seconds",
       {{"total", report.seconds.total},
        {"values", activities.values},
        {"solve", activities.solve},
        {"communicate", activities.communicate},
        {"evaluate", activities.evaluate}}},
      {"ranks", document_of(report.seconds.ranks)},
      {"drift", drift}};
  return line.dump();
}

}  // namespace anchorage::coordinator
