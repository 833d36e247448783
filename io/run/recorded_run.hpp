// What a run has recorded, for those who only read it.
#pragma once

#include <cstdint>
#include <map>
#include <string>
#include <vector>

#include "io/run/journal/journal.hpp"
#include "io/run/rank_load.hpp"
#include "io/run/run_directory.hpp"

namespace anchorage::io {

// Opens the run's journal for reading, with its index where there is one. Throws as Journal::open does.
Journal journal_of(const RunDirectory& run);

// What metrics.jsonl alone has of a batch.
struct BatchMetrics {
  std::string utc{};
  double seconds = 0;
  std::vector<RankLoad> ranks{};  // one per rank; none in a line of an earlier version
};

// Returns them by batch; nothing where there is no such file. Throws UserError for a line that is none of it; half
// a line at the end, of a killed process, does not count.
std::map<std::int64_t, BatchMetrics> metrics_of_batches(const RunDirectory& run);

}  // namespace anchorage::io
