// A rank's activities as its GPU has them: the rank only enqueues work there, and is ahead of it.
#pragma once

#include <c10/core/Event.h>
#include <torch/types.h>

#include <deque>
#include <optional>
#include <string>

#include "sharding/activities.hpp"
#include "worker/gpu_kernels.hpp"

namespace anchorage::worker {

// On a GPU, marks the boundaries of activities in the current stream by events: the GPU's time between two marks,
// busy or not, is that of the activity in which the rank enqueued what lies between them. On any device, shows
// activities and waits as ranges of NVTX, which NVIDIA's profilers record.
class DeviceActivities : public sharding::Activities::Listener {
 public:
  explicit DeviceActivities(torch::Device device) : device_(device) {}

  void opened(std::string_view name) override;
  void closed() override;
  void passed(std::string_view name) override;

  // Counts the GPU's kernels from now on (gpu_kernels.hpp); ends that, and returns what there was. Nothing where
  // none are counted.
  void count_kernels() { kernels_.emplace(device_); }
  std::optional<GpuKernels> kernels();

  // Waits for the GPU; returns its seconds by activity and wait, idle ones left out. On a CPU there are none.
  sharding::Activities::SecondsByName seconds();

 private:
  struct Mark {
    c10::Event event;
    std::string name;  // whose time lies before it
  };
  void read_passed_marks();

  torch::Device device_;
  std::deque<Mark> marks_;  // of which the seconds before the first are read already
  sharding::Activities::SecondsByName seconds_;
  std::optional<GpuKernelCount> kernels_;
};

}  // namespace anchorage::worker
