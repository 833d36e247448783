// Plans many machines: a table over numbers of ranks and sizes of batches, and the smallest machine for a night's
// work.
#pragma once

#include <cstdint>
#include <optional>
#include <span>
#include <string>
#include <vector>

#include "coordinator/planner.hpp"

namespace anchorage::coordinator {

struct SweepRow {
  int ranks = 1;
  std::int64_t batch = 1;  // edits
  int stages = 0, replicas = 0;
  double seconds_per_batch = 0;
  double efficiency = 0;       // seconds of one rank whose memory has no limit, by the seconds of all these ranks
  double inverse_seconds = 0;  // once a run
  std::int64_t fullest_bytes = 0;  // of the rank that holds most
  std::string refusal;             // why it does not fit, with all other results 0; else empty

  [[nodiscard]] double seconds_per_edit() const { return seconds_per_batch / static_cast<double>(batch); }
  [[nodiscard]] double rank_seconds_per_edit() const { return ranks * seconds_per_edit(); }
};

// Returns the rows of all batches for the first number of ranks, then for the next.
[[nodiscard]] std::vector<SweepRow> sweep(const PlanRequest& request, std::span<const int> ranks,
                                          std::span<const std::int64_t> batches);

struct Night {
  double hours = 8;
  std::int64_t edits = 1000;
};

inline constexpr int most_night_ranks = 4096;

// Returns the fewest ranks that write the edits in that time, the first inverses included, and of the batches the
// fastest. Without batches, tries those that give each rank 1, 2, 4 and 8 groups. Up to 16 ranks it tries all
// numbers, above them multiples of 8, which are whole machines. Returns nothing where `most_night_ranks` do not
// suffice.
[[nodiscard]] std::optional<SweepRow> smallest_machine(const PlanRequest& request, const Night& night,
                                                       std::span<const std::int64_t> batches);

// Returns the seconds that the edits take in batches of the row's size.
[[nodiscard]] double seconds_of(const SweepRow& row, std::int64_t edits);

}  // namespace anchorage::coordinator
