#include "launch/commands/journal/anchor_history.hpp"

#include "io/run/journal/live_segments.hpp"

namespace anchorage::launch {

AnchorHistory anchor_history(const io::Journal& journal) {
  AnchorHistory history;
  for (const io::JournalEntry& entry : io::live_segments(journal)) {
    const io::SegmentReader segment(entry.path);
    for (const std::int64_t layer : segment.anchor_layers()) {
      const io::AnchorRecord record = segment.anchors(layer);
      history[layer].push_back({.batch = entry.header.batch,
                                .chosen = std::ssize(record.chosen.indices),
                                .kept = record.kept,
                                .entered = record.entered,
                                .left = record.left});
    }
  }
  return history;
}

}  // namespace anchorage::launch
