// Which segments of a journal are live: no segment is ever deleted; a rollback says which ones no longer
// count.
#pragma once

#include <cstdint>
#include <vector>

#include "io/run/journal/journal.hpp"

namespace anchorage::io {

// Returns the batches and removals whose updates, added to the base in this order, make up the state after
// segment `number`. For a rollback to segment n, returns those of n.
std::vector<JournalEntry> live_segments(const Journal& journal, std::int64_t number);

// Returns those of the state at the journal's end; nothing for an empty journal.
std::vector<JournalEntry> live_segments(const Journal& journal);
// Only those from segment `first` on; takes time for these alone, however many come before.
std::vector<JournalEntry> live_segments_from(const Journal& journal, std::int64_t first);

// Returns the last of the live segments of the state after segment `number`, without making the list; 0, the base,
// where there is none. Two states are the same where these are: what comes before a segment never changes.
std::int64_t last_live_segment(const Journal& journal, std::int64_t number);

}  // namespace anchorage::io
