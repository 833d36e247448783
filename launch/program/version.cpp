#include "launch/program/version.hpp"

#include <ATen/Context.h>
#include <fmt/format.h>
#include <torch/cuda.h>
#include <torch/version.h>

#include <commit.hpp>  // generated
#include <nlohmann/json.hpp>

#include "io/hdf5/file.hpp"
#include "sharding/collective/mpi_session.hpp"
#include "sharding/collective/nccl_communicator.hpp"
#include "worker/device.hpp"

namespace anchorage::launch {
namespace {

// CUDA counts in thousands and tens: 13000 is 13.0.
nlohmann::json cuda_of_torch() {
  if (!at::Context::hasCUDART()) return nullptr;
  const long version = at::Context::versionCUDART();
  return fmt::format("{}.{}", version / 1000, version % 1000 / 10);
}

nlohmann::json names_of_gpus() {
  nlohmann::json names = nlohmann::json::array();
  const auto count = static_cast<torch::DeviceIndex>(torch::cuda::device_count());
  for (torch::DeviceIndex i = 0; i < count; ++i) names.push_back(worker::description_of({torch::kCUDA, i}));
  return names;
}

}  // namespace

std::string version_document() {
  const nlohmann::json gpus = names_of_gpus();
  return nlohmann::ordered_json{{"version", ANCHORAGE_VERSION},
                                {"commit", commit},
                                {"compiler", ANCHORAGE_COMPILER},
                                {"torch", TORCH_VERSION},
                                {"cuda", cuda_of_torch()},
                                {"mpi", sharding::mpi_library_version()},
                                {"nccl", sharding::nccl_library_version()},
                                {"hdf5", io::hdf5::library_version()},
                                {"device", gpus.empty() ? "cpu" : "cuda"},
                                {"gpus", gpus}}
      .dump();
}

}  // namespace anchorage::launch
