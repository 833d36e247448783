// The worlds of test_nccl: CUDA tensors over NCCL, an MPI rank a device.
//
// NCCL refuses two ranks on one device unless they seem to be on different hosts. Where there are more ranks than
// devices each rank gives itself a host's name of its own, and they talk over sockets.
#include <torch/cuda.h>
#include <cstdlib>

#include "tests/mpi/device_suite.hpp"
#include "tests/mpi/mpi_test.hpp"

#include <gtest/gtest.h>

namespace anchorage::sharding {

std::vector<DeviceWorld> device_worlds_under_test() {
  return {{.name = "nccl",
           .run =
               [](const auto& body, Seconds deadline) {
                 if (!torch::cuda::is_available()) GTEST_SKIP() << "CUDA finds no device on this machine";
                 const auto devices = static_cast<int>(torch::cuda::device_count());
                 const int rank = mpi_session().rank();
                 if (devices < mpi_session().size()) setenv("NCCL_HOSTID", std::to_string(rank).c_str(), 1);
                 const torch::Device device(torch::kCUDA, static_cast<c10::DeviceIndex>(rank % devices));
                 run_mpi_world([&](HostCommunicator& world) { body(*make_device_communicator(world, device)); },
                               {.deadline = deadline});
               },
           .short_deadline = Seconds{15}}};  // NCCL takes seconds to connect
}

}  // namespace anchorage::sharding
