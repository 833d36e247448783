// The hardware of one rank, as far as plans need it: every figure of speed and every figure of memory that does not
// follow from the model, in one place.
#pragma once

#include <cstdint>
#include <map>

namespace anchorage::coordinator {

// Defaults are those of a GPU: assumed, not measured.
struct Machine {
  bool is_gpu = true;
  double memory_bytes = 80e9;
  // Operations per second sustained in a block of the model, counted as two for each weight and token: norms,
  // attention and activations take time but are not counted.
  double flops = 150e12;
  // The same, measured in passes of so many tokens; where there is any, instead.
  std::map<std::int64_t, double> flops_by_tokens{};
  double double_flops = 20e12;  // per second, in f64 products
  double memory_rate = 1.5e12;  // bytes per second of matrices that are read and written as a whole
  double link_bytes = 25e9;     // bytes per second between two ranks
  double link_latency = 20e-6;  // seconds of a message without bytes
  // Of the process: CUDA's context, libraries and their workspaces. On CPUs the anonymous pages of a process
  // without a model: half is data of LibTorch's libraries, half what they allocate when they are loaded.
  std::int64_t runtime_bytes = 1'200'000'000;
  // On CPUs with weights in 16 bits: what oneDNN keeps of kernels, one for each shape of a product, and of packed
  // weights. Measured on ranks of the demo model (130 to 240 MB); 70 MB of it are the cache of kernels.
  std::int64_t kernel_bytes = 0;
  // Of what moves tensors. On GPUs NCCL's channels, taken as 100 MB for each of the three groups of ranks (world,
  // peers, replica); on CPUs MPI's segments of shared memory and eager buffers.
  std::int64_t exchange_bytes = 300'000'000;

  // Returns those of a pass of so many tokens: between two that were measured by the logarithm of tokens, beyond
  // them those of the nearest.
  [[nodiscard]] double flops_of_pass(std::int64_t tokens) const;

  static Machine gpu() { return {}; }
  // Speeds were measured with the demo model on a shared AMD EPYC with AVX-512: 58 Gflop/s per core over whole
  // edits, 65 in single blocks. `plan --measure` measures another machine.
  static Machine cpu(int threads);
};

}  // namespace anchorage::coordinator
