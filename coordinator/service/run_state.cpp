#include "coordinator/service/run_state.hpp"

#include <algorithm>
#include <ctime>

#include "coordinator/json_text.hpp"
#include "io/date.hpp"
#include "io/run/journal/live_segments.hpp"

namespace anchorage::coordinator {
namespace {

constexpr std::string_view run_stage_names[run_stages] = {"starting", "replaying", "waiting", "editing",
                                                          "paused",   "stopping",  "finished"};

}  // namespace

std::string_view name_of(RunStage stage) {
  return run_stage_names[static_cast<std::size_t>(stage)];
}

RunState::RunState(RunFacts known) : facts(std::move(known)), since(io::utc_now()) {}

void RunState::open(const io::Journal& journal, const std::map<std::int64_t, io::BatchMetrics>& metrics,
                    std::int64_t most_batches) {
  documents_.clear();
  if (journal.empty()) return;
  const auto recorded = recorded_edits(journal);
  ledger.take(recorded);
  segments = std::ssize(journal.list()) - 1;
  drift = drift_of(journal);
  const auto first = std::max<std::int64_t>(1, segments - most_batches + 1);
  for (const io::JournalEntry& entry : io::live_segments_from(journal, first)) {
    if (entry.header.kind != io::SegmentKind::batch) continue;
    const auto found = metrics.find(entry.header.batch);
    const io::BatchMetrics of_batch = found == metrics.end() ? io::BatchMetrics{} : found->second;
    keep(report_of(io::SegmentReader(entry.path), {.total = of_batch.seconds, .ranks = of_batch.ranks}));
  }
  for (const RecordedEdit& edit : recorded) {
    if (edit.state == io::EditState::committed && !edit.is_live()) mark(edit.place(), stage_of(edit));
  }
}

const nlohmann::ordered_json* RunState::batch(std::int64_t number) const {
  const auto found = documents_.find(number);
  return found == documents_.end() ? nullptr : &found->second;
}

void RunState::mark(const io::RecordedPlace& place, EditStage became) {
  const auto found = documents_.find(place.segment);
  if (found == documents_.end()) return;
  found->second["edits"].at(static_cast<std::size_t>(place.edit))["state"] = coordinator::name_of(became);
}

void RunState::keep(const BatchReport& report) {
  documents_[report.batch] = document_of(report);
  if (std::ssize(documents_) > batches_kept) documents_.erase(documents_.begin());
}

void RunState::add_loads(const std::vector<io::RankLoad>& loads) {
  if (loads.size() != facts.ranks.size()) return;
  for (std::size_t i = 0; i < loads.size(); ++i) {
    auto& rank = facts.ranks[i];
    rank["wait_seconds"] = rank.value("wait_seconds", 0.0) + loads[i].waits;
    rank["memory_bytes"] = std::max(rank.value("memory_bytes", std::int64_t{0}), loads[i].memory);
  }
}

void RunState::take(const BatchReport& report) {
  segments = report.batch;
  add_loads(report.seconds.ranks);
  ++batches;
  seconds += report.seconds;
  last_commit = std::time(nullptr);
  committed += report.committed;
  set_aside += std::ssize(report.set_aside);
  last_ = report;
  if (!report.drift.empty()) drift = report.drift;
  for (const io::RecordedPlace& place : report.superseded) {
    ledger.set_live(place.id, false);
    mark(place, EditStage::superseded);
    const LedgerEntry* entry = ledger.find(place.id);
    if (entry != nullptr && entry->batch == place.segment)
      ledger.move(place.id, EditStage::superseded, place.segment);
  }
  for (const io::EditRecord& edit : report.edits) {
    const bool is_committed = edit.state == io::EditState::committed;
    if (is_committed) ledger.set_live(edit.id, true);
    // A run that has its edits from files.
    if (ledger.find(edit.id) == nullptr)
      ledger.put(io::edit_from_json(edit.request, "a recorded edit"), EditStage::queued);
    ledger.move(edit.id, is_committed ? EditStage::committed : EditStage::set_aside, report.batch, edit.reason);
  }
  keep(report);
}

void RunState::put_aside(const std::string& id, const std::string& reason) {
  if (ledger.find(id) == nullptr) return;
  ledger.move(id, EditStage::set_aside, 0, reason);
  ++set_aside;
}

void RunState::take(const RemovalReport& report) {
  segments = report.segment;
  ++removals;
  drift = report.drift;
  for (const io::RecordedPlace& place : report.removed) {
    ledger.set_live(place.id, false);
    mark(place, EditStage::removed);
    ledger.move(place.id, EditStage::removed, place.segment);
  }
}

nlohmann::ordered_json RunState::document() const {
  auto edits = nlohmann::ordered_json::object();
  for (std::size_t i = 0; i < edit_stages; ++i) {
    const auto edit_stage = static_cast<EditStage>(i);
    edits[std::string(coordinator::name_of(edit_stage))] = ledger.count(edit_stage);
  }
  return {{"run", facts.run},
          {"model", facts.model},
          {"method", facts.method},
          {"version", facts.version},
          {"state", coordinator::name_of(stage)},
          {"since", since},
          {"batch_size", facts.batch_size},
          {"linger", facts.linger},
          {"require_approval", facts.require_approval},
          {"segments", segments},
          {"edits", edits},
          {"guard",
           {{"on", facts.guard.on},
            {"success", facts.guard.success},
            {"loss_rise", facts.guard.loss_rise},
            {"drift", facts.guard.drift}}},
          {"layers", document_of(drift)},
          {"ranks", facts.ranks},
          {"failure", text_or_null(failure)}};
}

nlohmann::ordered_json RunState::batches_after(std::int64_t after, std::size_t most) const {
  auto list = nlohmann::ordered_json::array();
  for (auto one = documents_.upper_bound(after); one != documents_.end() && list.size() < most; ++one)
    list.push_back(one->second);
  return {{"batches", list}};
}

nlohmann::ordered_json document_of(const LedgerEntry& entry) {
  const io::Edit& edit = entry.edit;
  return {{"id", edit.id},
          {"state", name_of(entry.stage)},
          {"batch", entry.batch == 0 ? nlohmann::ordered_json() : nlohmann::ordered_json(entry.batch)},
          {"reason", text_or_null(entry.reason)},
          {"subject", edit.subject},
          {"prompt", edit.prompt},
          {"target", edit.target},
          {"author", edit.author},
          {"approved_by", edit.approved_by},
          {"source", edit.source},
          {"as_of", edit.as_of},
          {"expires", edit.expires}};
}

}  // namespace anchorage::coordinator
