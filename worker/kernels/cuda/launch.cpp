#include "worker/kernels/cuda/launch.hpp"

#include <c10/core/DeviceGuard.h>
#include <c10/core/impl/VirtualGuardImpl.h>
#include <cuda_runtime_api.h>
#include <fmt/format.h>

#include <atomic>
#include <mutex>
#include <optional>
#include <tuple>

#include "io/error.hpp"
#include "io/log.hpp"
#include "worker/kernels/cuda/program.hpp"

namespace anchorage::worker::kernels::cuda {
namespace {

void check(cudaError_t result, std::string_view call) {
  if (result == cudaSuccess) return;
  throw io::InternalError(fmt::format("expected {} to succeed, found '{}'", call, cudaGetErrorString(result)));
}

int attribute_of(torch::Device device, cudaDeviceAttr attribute) {
  int value = 0;
  check(cudaDeviceGetAttribute(&value, attribute, device.index()), "cudaDeviceGetAttribute");
  return value;
}

// A family on a device, by the names of its kernels. Borrowed from CUDA, which keeps it as long as the process:
// what would be unloaded at exit could outlive the driver.
using LoadedFamily = std::map<std::string, cudaKernel_t, std::less<>>;

LoadedFamily load(const Family& family, Element element, torch::Device device) {
  const Program program = compile(family, element,
                                  {attribute_of(device, cudaDevAttrComputeCapabilityMajor),
                                   attribute_of(device, cudaDevAttrComputeCapabilityMinor)});
  if (!program.log.empty()) spdlog::debug("{}: {}", family.source, program.log);
  cudaLibrary_t library = nullptr;
  check(cudaLibraryLoadData(&library, program.code.data(), nullptr, nullptr, 0, nullptr, nullptr, 0),
        "cudaLibraryLoadData");
  LoadedFamily loaded;
  for (const auto& [kernel, name] : program.names)
    check(cudaLibraryGetKernel(&loaded[kernel], library, name.c_str()), "cudaLibraryGetKernel");
  return loaded;
}

// The families that have been asked for, by device and element; nothing where loading one failed.
class LoadedFamilies {
 public:
  static LoadedFamilies& of_process() {
    static LoadedFamilies families;
    return families;
  }

  const std::optional<LoadedFamily>& find(const Family& family, Element element, torch::Device device) {
    const std::scoped_lock lock(mutex_);
    const auto [place, is_new] = families_.try_emplace({&family, element, device.index()});
    if (is_new) {
      const c10::DeviceGuard guard(device);
      try {
        place->second = load(family, element, device);
      } catch (const io::InternalError& error) {
        spdlog::warn("the reference form runs in place of the kernels of {} on {}: {}", family.source, device.str(),
                     error.what());
        (void)cudaGetLastError();  // or torch finds it after its next launch
      }
    }
    return place->second;
  }

 private:
  std::mutex mutex_;
  std::map<std::tuple<const Family*, Element, c10::DeviceIndex>, std::optional<LoadedFamily>> families_;
};

std::atomic<std::int64_t> launch_count = 0;

}  // namespace

bool are_there(const Family& family, Element element, torch::Device device) {
  return LoadedFamilies::of_process().find(family, element, device).has_value();
}

void launch(const Kernel& kernel, Element element, torch::Device device, const Grid& grid, const void* arguments) {
  if (grid.x == 0 || grid.y == 0) return;
  const auto& family = LoadedFamilies::of_process().find(*kernel.family, element, device);
  io::check(family.has_value(), "a kernel is launched that is not there");
  const c10::DeviceGuard guard(device);
  const c10::Stream stream = c10::impl::VirtualGuardImpl(device.type()).getStream(device);
  void* parameters[] = {const_cast<void*>(arguments)};
  check(cudaLaunchKernel(reinterpret_cast<const void*>(family->find(std::string_view(kernel.name))->second),
                         dim3(static_cast<unsigned>(grid.x), static_cast<unsigned>(grid.y)), dim3(grid.threads),
                         parameters, grid.shared_bytes, static_cast<cudaStream_t>(stream.native_handle())),
        kernel.name);
  ++launch_count;
}

std::int64_t launches() {
  return launch_count;
}

}  // namespace anchorage::worker::kernels::cuda
