#include "launch/program/version.hpp"

#include <torch/version.h>

#include <commit.hpp>  // generated
#include <nlohmann/json.hpp>

#include "io/hdf5/file.hpp"
#include "sharding/collective/mpi_session.hpp"
#include "sharding/collective/nccl_communicator.hpp"
#include "worker/device.hpp"

namespace anchorage::launch {

std::string version_document() {
  const nlohmann::json gpus = worker::names_of_gpus();
  const auto cuda = worker::cuda_version();
  return nlohmann::ordered_json{{"version", ANCHORAGE_VERSION},
                                {"commit", commit},
                                {"compiler", ANCHORAGE_COMPILER},
                                {"torch", TORCH_VERSION},
                                {"cuda", cuda ? nlohmann::json(*cuda) : nullptr},
                                {"mpi", sharding::mpi_library_version()},
                                {"nccl", sharding::nccl_library_version()},
                                {"hdf5", io::hdf5::library_version()},
                                {"device", gpus.empty() ? "cpu" : "cuda"},
                                {"gpus", gpus}}
      .dump();
}

}  // namespace anchorage::launch
