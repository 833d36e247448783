// What the service knows of each edit, by its id: those that it accepted, and those that the journal has.
#pragma once

#include <chrono>
#include <cstdint>
#include <deque>
#include <map>
#include <optional>
#include <span>
#include <string>
#include <string_view>
#include <unordered_map>
#include <unordered_set>
#include <vector>

#include "coordinator/recorded_edits.hpp"
#include "io/edits/edit.hpp"

namespace anchorage::coordinator {

enum class EditStage {
  proposed,    // waits for approval
  accepted,    // waits for its batch
  queued,      // is in the batch that is being written
  committed,   // is in the weights
  set_aside,   // is not, for a reason
  removed,     // was, until a removal
  superseded,  // was, until another edit took its place
  withdrawn    // was withdrawn before it was written
};

inline constexpr std::size_t edit_stages = 8;
std::string_view name_of(EditStage stage);
EditStage stage_of(const RecordedEdit& edit);
std::optional<EditStage> edit_stage_named(std::string_view name);

struct LedgerEntry {
  io::Edit edit;  // of one that an earlier run of the program wrote: id, subject, prompt and target alone
  EditStage stage = EditStage::accepted;
  std::int64_t batch = 0;  // whose segment has it; 0: none
  std::string reason{};    // why it was set aside
  std::chrono::steady_clock::time_point since{};
};

class EditLedger {
 public:
  // Takes over what the journal has; of several records with one id, the last.
  void take(std::span<const RecordedEdit> recorded);

  // Puts an edit that is to be written, or that waits for approval, at the end.
  void put(const io::Edit& edit, EditStage stage);

  const LedgerEntry* find(const std::string& id) const;
  // Whether the weights contain an edit of this id, whatever became of a later one with it.
  bool is_live(const std::string& id) const { return live_.contains(id); }
  void set_live(const std::string& id, bool is_live) { is_live ? void(live_.insert(id)) : void(live_.erase(id)); }
  // Changes the stage of a known edit; does nothing for another.
  void move(const std::string& id, EditStage stage, std::int64_t batch = 0, const std::string& reason = "");
  void approve(const std::string& id, const std::string& by);

  // Returns the next edits that are accepted, at most `most`, and moves them to `queued`.
  std::vector<io::Edit> take_accepted(std::int64_t most);

  std::int64_t count(EditStage stage) const { return counts_[static_cast<std::size_t>(stage)]; }
  // Returns since when the oldest accepted edit has waited.
  std::optional<std::chrono::steady_clock::time_point> oldest_accepted() const;
  // Newest first: those that came last to the ledger.
  std::vector<const LedgerEntry*> newest(std::optional<EditStage> stage, std::size_t most) const;

 private:
  std::int64_t& count_of(EditStage stage) { return counts_[static_cast<std::size_t>(stage)]; }
  void set(LedgerEntry& entry, EditStage stage);

  std::deque<LedgerEntry> entries_;  // in the order in which they came
  std::unordered_map<std::string, std::size_t> place_of_;
  mutable std::deque<std::size_t> accepted_;  // places in the order in which they were accepted, some of them past
  std::unordered_set<std::string> live_;      // ids
  std::int64_t counts_[edit_stages]{};
};

}  // namespace anchorage::coordinator
