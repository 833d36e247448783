// The layers that one stage of a pipeline holds: a range of the layers below the first edited one and a range of
// those from it on, so that both the passes through all layers and the steps of an optimizer, which see the upper
// layers alone, take every stage equally long. A stage of a model that is not edited holds one range.
#pragma once

#include <cstdint>
#include <span>
#include <vector>

#include "sharding/range.hpp"

namespace anchorage::sharding {

class StageLayers {
 public:
  StageLayers() = default;
  // Ascending and disjoint; touching ranges become one, empty ones are dropped. Throws InternalError where they are
  // not in order.
  explicit StageLayers(const std::vector<Range>& ranges);
  StageLayers(std::int64_t begin, std::int64_t end) : StageLayers(std::vector<Range>{{begin, end}}) {}

  [[nodiscard]] const std::vector<Range>& ranges() const { return ranges_; }
  [[nodiscard]] bool contains(std::int64_t layer) const;
  [[nodiscard]] std::int64_t size() const;
  // Returns the number of held layers below `layer`: a held layer's place among them.
  [[nodiscard]] std::int64_t below(std::int64_t layer) const;
  // Returns the held layers, ascending.
  [[nodiscard]] std::vector<std::int64_t> layers() const;

  bool operator==(const StageLayers&) const = default;

 private:
  std::vector<Range> ranges_;
};

// Returns the stage that holds `layer`; throws InternalError where none does.
[[nodiscard]] int stage_of(std::int64_t layer, std::span<const StageLayers> stages);

}  // namespace anchorage::sharding
