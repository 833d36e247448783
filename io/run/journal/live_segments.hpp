// What of a journal stands: segments are never taken out of it, a rollback says which of them count no more.
#pragma once

#include <cstdint>
#include <vector>

#include "io/run/journal/journal.hpp"

namespace anchorage::io {

// The batches and removals whose updates, added to the base in this order, are the state after segment `number`.
// After a rollback to segment n they are those of n.
std::vector<JournalEntry> live_segments(const Journal& journal, std::int64_t number);

// The same at the journal's end; nothing for an empty journal.
std::vector<JournalEntry> live_segments(const Journal& journal);

}  // namespace anchorage::io
