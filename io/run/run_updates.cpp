#include "io/run/run_updates.hpp"

#include <set>

#include "io/error.hpp"

namespace anchorage::io {

void require_segment(const Journal& journal, std::int64_t number, const std::string& where) {
  if (number >= 0 && number < std::ssize(journal.list())) return;
  throw UserError({.expected = fmt::format("a batch from 0 to {}", std::ssize(journal.list()) - 1),
                   .found = std::to_string(number),
                   .where = where,
                   .remedy = "'anchorage journal list' shows what a run has"});
}

std::vector<std::int64_t> RunUpdates::layers() const {
  std::set<std::int64_t> layers;
  for (const JournalEntry& entry : segments_) {
    const SegmentReader segment(entry.path);
    for (const auto& changed : {segment.removed_layers(), segment.layers()})
      layers.insert(changed.begin(), changed.end());
  }
  return {layers.begin(), layers.end()};
}

void RunUpdates::for_each(const std::function<void(const RunUpdate&)>& visit,
                          const std::function<bool(std::int64_t)>& wanted) const {
  for (const JournalEntry& entry : segments_) {
    const SegmentReader segment(entry.path);
    for (const std::int64_t layer : segment.removed_layers()) {
      if (!wanted(layer)) continue;
      RemovedLayer removed = segment.removed_layer(layer);
      visit({layer, std::move(removed.u), std::move(removed.v)});
    }
    for (const std::int64_t layer : segment.layers()) {
      if (!wanted(layer)) continue;
      LayerRecord written = segment.update(layer);
      visit({layer, std::move(written.u), std::move(written.v)});
    }
  }
}

}  // namespace anchorage::io
