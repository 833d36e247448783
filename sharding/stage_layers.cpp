#include "sharding/stage_layers.hpp"

#include <fmt/format.h>

#include <algorithm>

#include "io/error.hpp"

namespace anchorage::sharding {

StageLayers::StageLayers(const std::vector<Range>& ranges) {
  for (const Range& range : ranges) {
    if (range.size() == 0) continue;
    io::check(range.size() > 0 && (ranges_.empty() || range.begin >= ranges_.back().end),
              "the layers of a stage are not in order");
    if (!ranges_.empty() && ranges_.back().end == range.begin) {
      ranges_.back().end = range.end;
    } else {
      ranges_.push_back(range);
    }
  }
}

bool StageLayers::contains(std::int64_t layer) const {
  return std::ranges::any_of(ranges_, [layer](const Range& range) { return range.contains(layer); });
}

std::int64_t StageLayers::size() const {
  std::int64_t size = 0;
  for (const Range& range : ranges_) size += range.size();
  return size;
}

std::int64_t StageLayers::below(std::int64_t layer) const {
  std::int64_t below = 0;
  for (const Range& range : ranges_) below += std::clamp<std::int64_t>(layer - range.begin, 0, range.size());
  return below;
}

std::vector<std::int64_t> StageLayers::layers() const {
  std::vector<std::int64_t> layers;
  for (const Range& range : ranges_) {
    for (std::int64_t layer = range.begin; layer < range.end; ++layer) layers.push_back(layer);
  }
  return layers;
}

int stage_of(std::int64_t layer, std::span<const StageLayers> stages) {
  const auto found =
      std::ranges::find_if(stages, [layer](const StageLayers& stage) { return stage.contains(layer); });
  io::check(found != stages.end(), fmt::format("layer {} is on no stage", layer));
  return static_cast<int>(found - stages.begin());
}

}  // namespace anchorage::sharding
