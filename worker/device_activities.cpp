#include "worker/device_activities.hpp"

#include <c10/core/impl/VirtualGuardImpl.h>
#include <nvtx3/nvToolsExt.h>

namespace anchorage::worker {
namespace {

constexpr std::size_t most_marks = 1024;  // before those that have passed are read

}  // namespace

void DeviceActivities::opened(std::string_view name) {
  nvtxRangePushA(std::string(name).c_str());
}

void DeviceActivities::closed() {
  nvtxRangePop();
}

void DeviceActivities::passed(std::string_view name) {
  if (!device_.is_cuda()) return;
  const c10::impl::VirtualGuardImpl guard(device_.type());
  marks_.push_back(
      {.event = c10::Event(device_.type(), c10::EventFlag::BACKEND_DEFAULT), .name = std::string(name)});
  marks_.back().event.record(guard.getStream(device_));
  if (marks_.size() >= most_marks) read_passed_marks();
}

void DeviceActivities::read_passed_marks() {
  while (marks_.size() > 1 && marks_[1].event.query()) {
    if (!marks_[1].name.empty()) seconds_[marks_[1].name] += marks_[0].event.elapsedTime(marks_[1].event) / 1e3;
    marks_.pop_front();
  }
}

std::optional<GpuKernels> DeviceActivities::kernels() {
  if (!kernels_) return std::nullopt;
  const GpuKernels counted = kernels_->finish();
  kernels_.reset();
  return counted;
}

sharding::Activities::SecondsByName DeviceActivities::seconds() {
  if (!marks_.empty()) marks_.back().event.synchronize();
  read_passed_marks();
  return seconds_;
}

}  // namespace anchorage::worker
