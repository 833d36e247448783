#include "worker/device.hpp"

#include <ATen/Context.h>
#include <c10/core/impl/VirtualGuardImpl.h>
#include <cuda_runtime_api.h>
#include <sys/resource.h>
#include <torch/cuda.h>

#include <array>

#include "io/error.hpp"

namespace anchorage::worker {
namespace {

void prepare(const torch::Device& device) {
  auto& context = at::globalContext();
  context.setDeterministicAlgorithms(device.is_cuda(), /*warn_only=*/true);
  if (!device.is_cuda()) return;
  context.setDeterministicFillUninitializedMemory(false);  // no tensor is read before it is written
  context.setFloat32MatmulPrecision("highest");
  context.setAllowBF16ReductionCuBLAS(false);
  context.setAllowFP16ReductionCuBLAS(false);
  cudaSetDevice(device.index());
}

}  // namespace

torch::Device take_device(std::string_view name, int rank_on_machine) {
  const torch::DeviceIndex gpus = torch::cuda::device_count();
  torch::Device device = torch::kCPU;
  if (name == "cuda" && gpus == 0) {
    throw io::UserError({.expected = "a CUDA device",
                         .found = "none",
                         .where = fmt::format("--device {}", name),
                         .remedy = "run with --device cpu, or check the driver with nvidia-smi"});
  }
  if (name != "cpu" && gpus > 0) {
    device = {torch::kCUDA, static_cast<torch::DeviceIndex>(rank_on_machine % gpus)};
  }
  prepare(device);
  return device;
}

std::optional<std::int64_t> memory_of(const torch::Device& device) {
  std::size_t free = 0, total = 0;
  if (!device.is_cuda() || cudaMemGetInfo(&free, &total) != cudaSuccess) return std::nullopt;
  return static_cast<std::int64_t>(total);
}

std::int64_t memory_used_on(const torch::Device& device) {
  std::size_t free = 0, total = 0;
  if (device.is_cuda() && cudaMemGetInfo(&free, &total) == cudaSuccess)
    return static_cast<std::int64_t>(total - free);
  rusage usage{};
  ::getrusage(RUSAGE_SELF, &usage);
  return static_cast<std::int64_t>(usage.ru_maxrss) * 1024;
}

void wait_until_idle(const torch::Device& device) {
  if (device.is_cpu()) return;
  c10::impl::VirtualGuardImpl(device.type()).synchronizeDevice(device.index());
}

std::string address_of(const torch::Device& device) {
  if (!device.is_cuda()) return "";
  std::array<char, 32> address{};
  if (cudaDeviceGetPCIBusId(address.data(), address.size(), device.index()) != cudaSuccess) return device.str();
  return address.data();
}

std::vector<std::string> names_of_gpus() {
  std::vector<std::string> names;
  for (int gpu = 0; gpu < static_cast<int>(torch::cuda::device_count()); ++gpu) {
    cudaDeviceProp properties{};
    const bool known = cudaGetDeviceProperties(&properties, gpu) == cudaSuccess;
    names.emplace_back(known ? properties.name : "a GPU that cannot be asked");
  }
  return names;
}

// CUDA counts in thousands and tens: 13000 is 13.0.
std::optional<std::string> cuda_version() {
  if (!at::Context::hasCUDART()) return std::nullopt;
  const long version = at::Context::versionCUDART();
  return fmt::format("{}.{}", version / 1000, version % 1000 / 10);
}

}  // namespace anchorage::worker
