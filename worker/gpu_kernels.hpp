// What a GPU runs, kernel by kernel.
#pragma once

#include <torch/types.h>

#include <cstdint>

namespace anchorage::worker {

struct GpuKernels {
  std::int64_t count = 0;  // with copies and fills
  double idle_share = 0;   // of the time from the first one's begin to the last one's end
};

// Counts while it exists, by torch's profiler (Kineto, which asks CUPTI): one at a time in a process. Holds some
// hundred bytes a kernel, so it is for some steps, not for a night.
class GpuKernelCount {
 public:
  // Begins to count the kernels of a GPU; of a CPU there are none.
  explicit GpuKernelCount(torch::Device device);
  ~GpuKernelCount();
  GpuKernelCount(const GpuKernelCount&) = delete;
  GpuKernelCount& operator=(const GpuKernelCount&) = delete;

  // Waits for the GPU and ends the count.
  GpuKernels finish();

 private:
  torch::Device device_;
  bool is_counting_;
};

}  // namespace anchorage::worker
