#include "worker/gpu_kernels.hpp"

#include <torch/csrc/autograd/profiler_kineto.h>

#include <algorithm>
#include <set>
#include <utility>
#include <vector>

#include "worker/device.hpp"

namespace anchorage::worker {
namespace {

using torch::profiler::impl::ActivityType;

// The share of the time from the first begin to the last end that no interval covers.
double uncovered(std::vector<std::pair<std::uint64_t, std::uint64_t>> intervals) {
  std::ranges::sort(intervals);
  std::uint64_t covered = 0, until = intervals.front().first;
  for (const auto& [begin, end] : intervals) {
    covered += std::max(until, end) - std::max(until, begin);
    until = std::max(until, end);
  }
  const std::uint64_t all = std::max<std::uint64_t>(1, until - intervals.front().first);
  return 1 - static_cast<double>(covered) / static_cast<double>(all);
}

}  // namespace

GpuKernelCount::GpuKernelCount(torch::Device device) : device_(device), is_counting_(device.is_cuda()) {
  if (!is_counting_) return;
  wait_until_idle(device_);
  const torch::profiler::impl::ProfilerConfig config(torch::profiler::impl::ProfilerState::KINETO);
  torch::autograd::profiler::prepareProfiler(config, {ActivityType::CUDA});
  torch::autograd::profiler::enableProfiler(config, {ActivityType::CUDA});
}

GpuKernelCount::~GpuKernelCount() {
  if (is_counting_) (void)torch::autograd::profiler::disableProfiler();
}

GpuKernels GpuKernelCount::finish() {
  if (!is_counting_) return {};
  wait_until_idle(device_);
  is_counting_ = false;
  std::vector<std::pair<std::uint64_t, std::uint64_t>> intervals;
  for (const auto& event : torch::autograd::profiler::disableProfiler()->events()) {
    if (event.deviceType() == device_.type()) intervals.emplace_back(event.startNs(), event.endNs());
  }
  if (intervals.empty()) return {};
  return {.count = std::ssize(intervals), .idle_share = uncovered(std::move(intervals))};
}

}  // namespace anchorage::worker
