// One replica of a model, its stages as threads of this process.
#pragma once

#include <torch/utils.h>
#include <algorithm>
#include <functional>
#include <vector>

#include "sharding/stage_layers.hpp"
#include "tests/support/thread_communicator.hpp"
#include "worker/model/stages.hpp"

namespace anchorage::tests {

// The layers in so many ranges, of lengths that differ by one at the most.
inline std::vector<sharding::Range> even_ranges(std::int64_t begin, std::int64_t end, int count) {
  std::vector<sharding::Range> ranges;
  for (std::int64_t i = 0; i < count; ++i)
    ranges.push_back({begin + (end - begin) * i / count, begin + (end - begin) * (i + 1) / count});
  return ranges;
}

inline std::vector<sharding::StageLayers> even_stages(std::int64_t layers, int stages) {
  std::vector<sharding::StageLayers> all;
  for (const sharding::Range& range : even_ranges(0, layers, stages)) all.emplace_back(range.begin, range.end);
  return all;
}

// Stages of two ranges each, of the layers below `first_edited` and of those from it on. Where there are too few of
// one kind, the first stages hold the lower layers, and the last ones the upper.
inline std::vector<sharding::StageLayers> stages_of_two_ranges(std::int64_t layers, std::int64_t first_edited,
                                                               int stages) {
  const auto part = [&](std::int64_t begin, std::int64_t end, int stage, bool at_the_end) {
    const int some = static_cast<int>(std::min<std::int64_t>(end - begin, stages));
    const int place = at_the_end ? stage - (stages - some) : stage;
    if (place < 0 || place >= some) return sharding::Range{};
    return even_ranges(begin, end, some)[static_cast<std::size_t>(place)];
  };
  std::vector<sharding::StageLayers> all;
  for (int stage = 0; stage < stages; ++stage) {
    all.emplace_back(std::vector{part(0, first_edited, stage, false), part(first_edited, layers, stage, true)});
  }
  return all;
}

enum class Cut { one_range, two_ranges };

inline std::vector<sharding::StageLayers> cut_stages(std::int64_t layers, int stages, Cut cut,
                                                     std::int64_t first_edited) {
  return cut == Cut::one_range ? even_stages(layers, stages) : stages_of_two_ranges(layers, first_edited, stages);
}

// `body` on every stage at once; with one stage, with `Stages` that hold the whole model.
inline void on_cut_stages(const std::vector<sharding::StageLayers>& cut,
                          const std::function<void(const worker::Stages&)>& body) {
  tests::run_thread_world(static_cast<int>(cut.size()), [&](sharding::HostCommunicator& world) {
    torch::set_num_threads(1);
    const auto replica = sharding::make_device_communicator(world, torch::kCPU);
    body(cut.size() == 1 ? worker::Stages() : worker::Stages(cut, *replica));
  });
}

inline void on_stages(std::int64_t layers, int stages, const std::function<void(const worker::Stages&)>& body) {
  on_cut_stages(even_stages(layers, stages), body);
}

}  // namespace anchorage::tests
