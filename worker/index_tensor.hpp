// Indices as tensors.
#pragma once

#include <torch/types.h>

#include <cstdint>
#include <vector>

namespace anchorage::worker {

// Indices, of packed tokens for one: [n] i64 on the device.
inline torch::Tensor index_tensor(const std::vector<std::int64_t>& values, torch::Device device) {
  return torch::tensor(values, torch::kInt64).to(device);
}

}  // namespace anchorage::worker
