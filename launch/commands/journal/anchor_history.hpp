// How the anchors of each edited layer changed from batch to batch.
#pragma once

#include <cstdint>
#include <map>
#include <vector>

#include "io/run/journal/journal.hpp"

namespace anchorage::launch {

// One layer in one batch: the active anchors (worker::AnchorChange) that were active before too (kept) or
// were not (entered), and those that are no longer active (left).
struct AnchorCounts {
  std::int64_t batch = 0;
  std::int64_t chosen = 0;  // anchors of all edits together
  std::int64_t kept = 0;
  std::int64_t entered = 0;
  std::int64_t left = 0;
};

using AnchorHistory = std::map<std::int64_t, std::vector<AnchorCounts>>;  // by layer, batches ascending

// Reads the history from the journal's live segments; empty where the method has no anchors.
AnchorHistory anchor_history(const io::Journal& journal);

}  // namespace anchorage::launch
