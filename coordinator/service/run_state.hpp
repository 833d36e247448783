// What the service knows of the run, on the server's thread: figures and documents for those who ask.
#pragma once

#include <cstdint>
#include <map>
#include <nlohmann/json.hpp>
#include <optional>
#include <string>
#include <string_view>
#include <tuple>

#include "coordinator/batch_report.hpp"
#include "coordinator/guard.hpp"
#include "coordinator/service/edit_ledger.hpp"
#include "io/run/recorded_run.hpp"

namespace anchorage::coordinator {

// In the order in which a run passes through them, but for waiting, editing and paused, which take turns.
enum class RunStage { starting, replaying, waiting, editing, paused, stopping, finished };
inline constexpr std::size_t run_stages = 7;
std::string_view name_of(RunStage stage);

inline constexpr std::int64_t batches_kept = 1000;  // in memory, for those who ask

// What does not change while a service runs.
struct RunFacts {
  std::string run{}, model{}, method{}, version{};
  std::int64_t batch_size = 32;
  double linger = 5;  // seconds
  bool require_approval = false, has_canaries = false;
  GuardLimits guard{};
  nlohmann::ordered_json ranks = nlohmann::ordered_json::array();  // docs/service.md
};

struct RunState {
  explicit RunState(RunFacts facts);

  RunFacts facts;
  std::string since;  // UTC
  RunStage stage = RunStage::starting;
  EditLedger ledger;
  std::int64_t segments = 0;  // of the journal, without the base
  Drift drift;
  std::string failure;  // why the run has ended; empty otherwise

  // Since the service began.
  std::int64_t batches = 0, reverted = 0, removals = 0;
  Seconds seconds{};
  std::optional<std::int64_t> last_commit;    // seconds since 1970
  std::int64_t committed = 0, set_aside = 0;  // edits
  // Requests by method, route and the status of their answer.
  std::map<std::tuple<std::string, std::string, unsigned>, std::int64_t> answers;

  // Takes over what the journal of a run to continue has: its edits, its last batches with their metrics.
  void open(const io::Journal& journal, const std::map<std::int64_t, io::BatchMetrics>& metrics,
            std::int64_t most_batches = 200);
  void take(const BatchReport& report);
  void put_aside(const std::string& id, const std::string& reason);  // an edit that came into no batch
  void take(const RemovalReport& report);
  // Adds to the ranks, where these are as many, their waits, and says the most memory that they have had.
  void add_loads(const std::vector<io::RankLoad>& loads);

  nlohmann::ordered_json document() const;
  // Those after `after`, oldest first.
  nlohmann::ordered_json batches_after(std::int64_t after, std::size_t most) const;
  // Of one batch, where it is among those that are kept.
  const nlohmann::ordered_json* batch(std::int64_t number) const;
  const BatchReport* last_batch() const { return last_ ? &*last_ : nullptr; }  // since the service began

 private:
  void keep(const BatchReport& report);
  // Says in its batch's document what became of an edit.
  void mark(const io::RecordedPlace& place, EditStage became);
  std::optional<BatchReport> last_;
  std::map<std::int64_t, nlohmann::ordered_json> documents_;  // of the last batches, by number
};

nlohmann::ordered_json document_of(const LedgerEntry& entry);

}  // namespace anchorage::coordinator
