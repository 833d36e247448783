// The device that a rank computes on. All of CUDA that is not NCCL's is in here (cmake/check_arrows.py).
#pragma once

#include <torch/types.h>

#include <cstdint>
#include <optional>
#include <string>
#include <string_view>

namespace anchorage::worker {

// Takes the device of that name for this process and sets it up to repeat its sums, as precise as on a CPU.
//
// `name`: "cpu"; "cuda", a GPU; "auto", a GPU where there is one. Ranks of a machine take its GPUs in turn, so
// `rank_on_machine` decides which. Throws io::UserError where "cuda" is asked for and there is none. Not
// collective.
torch::Device take_device(std::string_view name, int rank_on_machine);

// Bytes of memory of a GPU, all of it; nothing for a CPU, whose memory is the machine's.
std::optional<std::int64_t> memory_of(const torch::Device& device);

// The GPU's PCI address, by which NCCL tells GPUs of a machine apart; empty for a CPU.
std::string address_of(const torch::Device& device);

// What a GPU is called ("NVIDIA H100 80GB HBM3"); "CPU" otherwise.
std::string description_of(const torch::Device& device);

}  // namespace anchorage::worker
