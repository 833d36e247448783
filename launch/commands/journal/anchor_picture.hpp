// How the anchors of each edited layer rolled on from batch to batch, as numbers and as a picture.
#pragma once

#include <cstdint>
#include <map>
#include <string>
#include <vector>

#include "io/run/journal/journal.hpp"

namespace anchorage::launch {

// Of one layer in one batch: its standing anchors (AnchorChange) that stood before too (kept) or did not
// (entered), and those that do not stand any more (left).
struct AnchorCounts {
  std::int64_t batch = 0;
  std::int64_t chosen = 0;  // anchors of all edits together
  std::int64_t kept = 0;
  std::int64_t entered = 0;
  std::int64_t left = 0;
};

using AnchorHistory = std::map<std::int64_t, std::vector<AnchorCounts>>;  // by layer, batches ascending

// Of the journal's live segments; empty where their method has no anchors.
AnchorHistory anchor_history(const io::Journal& journal);

// An SVG document: a panel a layer, a bar a batch; kept and entered stand on the axis, left hangs below it.
std::string anchor_picture(const AnchorHistory& history, const std::string& title);

}  // namespace anchorage::launch
