// The device that a rank computes on. All CUDA calls outside NCCL and worker/kernels/cuda are in here
// (cmake/check_arrows.py).
#pragma once

#include <torch/types.h>

#include <cstdint>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

namespace anchorage::worker {

// Takes the device of that name for this process and sets it up for reproducible sums, as precise as on a
// CPU.
//
// `name` is "cpu", "cuda" (a GPU) or "auto" (a GPU if there is one). Ranks of a machine take its GPUs in
// turn, so `rank_on_machine` decides which. Throws io::UserError where "cuda" is requested and there is no
// GPU. Not collective.
torch::Device take_device(std::string_view name, int rank_on_machine);

// Returns the total bytes of a GPU's memory; nothing for a CPU, whose memory is the machine's.
std::optional<std::int64_t> memory_of(const torch::Device& device);

// Returns the bytes that are in use of a GPU's memory, by whichever process; for a CPU, the most that this process
// has had resident.
std::int64_t memory_used_on(const torch::Device& device);

// Waits until a GPU has carried out what it was given; a CPU has.
void wait_until_idle(const torch::Device& device);

// Returns the GPU's PCI address, by which NCCL distinguishes the GPUs of a machine; empty for a CPU.
std::string address_of(const torch::Device& device);

// Returns the names of this machine's GPUs ("NVIDIA H100 80GB HBM3"), in the order of their numbers.
std::vector<std::string> names_of_gpus();

// Returns the version of the CUDA run-time library that torch has ("13.0"); nothing where it has none.
std::optional<std::string> cuda_version();

}  // namespace anchorage::worker
