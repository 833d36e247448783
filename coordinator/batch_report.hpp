// What a run records: its segments, and a line of metrics for each batch.
#pragma once

#include <cstdint>
#include <map>
#include <nlohmann/json_fwd.hpp>
#include <string>
#include <vector>

#include "coordinator/queue.hpp"
#include "io/run/journal/journal.hpp"
#include "sharding/protocol/command.hpp"

namespace anchorage::coordinator {

// Who wrote a segment.
struct Provenance {
  std::string version;     // of the program
  std::int64_t world = 1;  // ranks
  std::int64_t seed = 0;
};

// Makes segment 0 of a new run. `base` names model, tokenizer and statistics by their fingerprints, and the
// edited layers.
io::BatchSegment base_segment(io::BaseRecord base, const Provenance& provenance);

// Makes the segment of a batch that the workers applied; without layers where every edit was set aside.
io::BatchSegment batch_segment(sharding::BatchApplied applied, io::GuardRecord guard, std::int64_t batch,
                               const Provenance& provenance);

// Makes the segment that removes edits, as the workers computed the removal.
io::BatchSegment removal_segment(io::RemovalRecord removal, std::int64_t number, const Provenance& provenance);

// Makes the segment that rolls back to the state after segment `to`.
io::BatchSegment rollback_segment(std::int64_t to, std::int64_t number, const Provenance& provenance);

// Wall-clock seconds. `total` runs from the submission of a batch, or of a part of one, to its commit; it
// exceeds the sum of the activities. Reverted attempts count toward the next commit.
struct Seconds {
  double total = 0;
  sharding::BatchSeconds activities{};
  std::vector<io::RankLoad> ranks{};  // the waits of each, and its memory at the end; nothing: not known
};

Seconds& operator+=(Seconds& sum, const Seconds& seconds);

// Per edited layer: the Frobenius norm of the weight's whole change, over that of the base weight.
using Drift = std::map<std::int64_t, double>;

// Returns the drift after the last of the journal's live segments that changed a weight.
Drift drift_of(const io::Journal& journal);

// One batch in numbers. The means are over its committed edits, and NaN where there are none.
struct BatchReport {
  std::int64_t batch = 0;
  std::string utc;
  std::int64_t committed = 0;
  std::vector<SetAside> set_aside;
  double nll_before = io::not_measured;
  double nll_after = io::not_measured;
  double match_before = io::not_measured;  // share of edits whose target tokens are all the argmax
  double match_after = io::not_measured;
  sharding::ValuesFound values{};         // not of batches before a restart
  double target_norm = io::not_measured;  // mean over the edits, as found; of methods whose edits have one target
  Seconds seconds;
  Drift drift;                                  // after the batch; empty when it wrote nothing
  std::vector<io::EditRecord> edits{};          // as recorded
  std::vector<io::RecordedPlace> superseded{};  // whose place they took
  io::GuardRecord guard{};
  // Of methods that select anchors, by layer: how many the batch selected, and the mean of their rolling scores.
  struct Anchors {
    std::int64_t layer = 0, count = 0;
    double score = io::not_measured;
  };
  std::vector<Anchors> anchors{};
  std::vector<io::CanaryLook> canaries{};  // at the weights after the batch; not known of a segment on the disk
};

// A removal in numbers.
struct RemovalReport {
  std::int64_t segment = 0;
  std::string utc;
  std::vector<io::RecordedPlace> removed;
  Drift drift;  // after it
};

RemovalReport removal_report_of(const io::BatchSegment& segment);

BatchReport report_of(const io::BatchSegment& segment, const Seconds& seconds);
// The same of a segment on the disk, which does not have the target's norm. Reads no matrix.
BatchReport report_of(const io::SegmentReader& segment, const Seconds& seconds);

// Writes a report as JSON (docs/service.md, "The run"); numbers that were not measured are null. Of
// seconds, those that are known.
nlohmann::ordered_json document_of(const BatchReport& report);
nlohmann::ordered_json document_of(const Drift& drift);  // a list of {"layer", "drift"}

nlohmann::ordered_json document_of(const std::vector<io::RankLoad>& ranks);

// Formats one line of metrics.jsonl, a JSON object; numbers that were not measured are null.
std::string metrics_line(const BatchReport& report);

}  // namespace anchorage::coordinator
