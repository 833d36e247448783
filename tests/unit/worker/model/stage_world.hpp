// One replica of a model, its stages as threads of this process.
#pragma once

#include <torch/utils.h>
#include <functional>

#include "sharding/range.hpp"
#include "tests/support/thread_communicator.hpp"
#include "worker/model/stages.hpp"

namespace anchorage::tests {

// The layers in so many ranges, of lengths that differ by one at the most.
inline std::vector<sharding::Range> even_stages(std::int64_t layers, int stages) {
  std::vector<sharding::Range> ranges;
  for (std::int64_t stage = 0; stage < stages; ++stage) {
    ranges.push_back({layers * stage / stages, layers * (stage + 1) / stages});
  }
  return ranges;
}

// `body` on every stage at once; with one stage, with `Stages` that hold the whole model.
inline void on_stages(std::int64_t layers, int stages, const std::function<void(const worker::Stages&)>& body) {
  tests::run_thread_world(stages, [&](sharding::HostCommunicator& world) {
    torch::set_num_threads(1);
    const auto replica = sharding::make_device_communicator(world, torch::kCPU);
    body(stages == 1 ? worker::Stages() : worker::Stages(even_stages(layers, stages), *replica));
  });
}

}  // namespace anchorage::tests
