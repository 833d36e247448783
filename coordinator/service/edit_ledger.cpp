#include "coordinator/service/edit_ledger.hpp"

#include <algorithm>

#include "io/error.hpp"

namespace anchorage::coordinator {
namespace {

constexpr std::string_view stage_names[edit_stages] = {"proposed",  "accepted", "queued",     "committed",
                                                       "set_aside", "removed",  "superseded", "withdrawn"};

}  // namespace

EditStage stage_of(const RecordedEdit& edit) {
  if (edit.state == io::EditState::set_aside) return EditStage::set_aside;
  if (edit.removed_in) return EditStage::removed;
  return edit.superseded_in ? EditStage::superseded : EditStage::committed;
}

std::string_view name_of(EditStage stage) {
  return stage_names[static_cast<std::size_t>(stage)];
}

std::optional<EditStage> edit_stage_named(std::string_view name) {
  const auto found = std::ranges::find(stage_names, name);
  if (found == std::end(stage_names)) return std::nullopt;
  return static_cast<EditStage>(found - std::begin(stage_names));
}

void EditLedger::take(std::span<const RecordedEdit> recorded) {
  for (const RecordedEdit& record : recorded) {
    put(record.edit, stage_of(record));
    LedgerEntry& entry = entries_[place_of_.at(record.edit.id)];
    entry.batch = record.batch;
    entry.reason = record.reason;
    if (record.is_live()) set_live(record.edit.id, true);
  }
}

void EditLedger::put(const io::Edit& edit, EditStage stage) {
  const auto known = place_of_.find(edit.id);
  if (known != place_of_.end()) --count_of(entries_[known->second].stage);  // its entry is a past one now
  place_of_[edit.id] = entries_.size();
  entries_.push_back({.edit = edit, .stage = stage, .since = std::chrono::steady_clock::now()});
  ++count_of(stage);
  if (stage == EditStage::accepted) accepted_.push_back(entries_.size() - 1);
}

const LedgerEntry* EditLedger::find(const std::string& id) const {
  const auto place = place_of_.find(id);
  return place == place_of_.end() ? nullptr : &entries_[place->second];
}

void EditLedger::set(LedgerEntry& entry, EditStage stage) {
  --count_of(entry.stage);
  ++count_of(stage);
  entry.stage = stage;
}

void EditLedger::move(const std::string& id, EditStage stage, std::int64_t batch, const std::string& reason) {
  const auto place = place_of_.find(id);
  if (place == place_of_.end()) return;
  LedgerEntry& entry = entries_[place->second];
  set(entry, stage);
  if (batch != 0) entry.batch = batch;
  entry.reason = reason;
}

void EditLedger::approve(const std::string& id, const std::string& by) {
  const std::size_t place = place_of_.at(id);
  LedgerEntry& entry = entries_[place];
  io::check(entry.stage == EditStage::proposed, "an edit that waits for approval");
  entry.edit.approved_by = by;
  entry.since = std::chrono::steady_clock::now();
  set(entry, EditStage::accepted);
  accepted_.push_back(place);
}

std::vector<io::Edit> EditLedger::take_accepted(std::int64_t most) {
  std::vector<io::Edit> edits;
  while (!accepted_.empty() && std::ssize(edits) < most) {
    const std::size_t place = accepted_.front();
    accepted_.pop_front();
    LedgerEntry& entry = entries_[place];
    if (entry.stage != EditStage::accepted || place_of_.at(entry.edit.id) != place) continue;
    set(entry, EditStage::queued);
    edits.push_back(entry.edit);
  }
  return edits;
}

std::optional<std::chrono::steady_clock::time_point> EditLedger::oldest_accepted() const {
  while (!accepted_.empty()) {
    const LedgerEntry& entry = entries_[accepted_.front()];
    if (entry.stage == EditStage::accepted && place_of_.at(entry.edit.id) == accepted_.front()) return entry.since;
    accepted_.pop_front();
  }
  return std::nullopt;
}

std::vector<const LedgerEntry*> EditLedger::newest(std::optional<EditStage> stage, std::size_t most) const {
  std::vector<const LedgerEntry*> found;
  for (std::size_t place = entries_.size(); place-- > 0 && found.size() < most;) {
    const LedgerEntry& entry = entries_[place];
    if (place_of_.at(entry.edit.id) != place || (stage && entry.stage != *stage)) continue;
    found.push_back(&entry);
  }
  return found;
}

}  // namespace anchorage::coordinator
