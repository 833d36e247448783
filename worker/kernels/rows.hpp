// Tensors as the kernels of a CPU see them (simd/rows.hpp).
#pragma once

#include <ATen/Parallel.h>
#include <torch/types.h>

#include "worker/kernels/simd/rows.hpp"

namespace anchorage::worker::kernels {

// Whether there are fused kernels for these tensors.
bool are_fused_on(const torch::Tensor& tensor);

// The element of a tensor that are_fused_on accepts.
simd::Element element_of(const torch::Tensor& tensor);

// The dtype in which kernels compute: f32, of f64 f64.
torch::ScalarType wide_of(torch::ScalarType dtype);

// Calls kernel(arguments, begin, end) on parts of `rows` rows of `width` entries by torch's threads.
template <class Arguments>
void over_rows(void (*kernel)(const Arguments&, std::int64_t, std::int64_t), const Arguments& arguments,
               std::int64_t rows, std::int64_t width) {
  const std::int64_t grain = std::max<std::int64_t>(1, at::internal::GRAIN_SIZE / std::max<std::int64_t>(1, width));
  at::parallel_for(0, rows, grain, [&](std::int64_t begin, std::int64_t end) { kernel(arguments, begin, end); });
}

}  // namespace anchorage::worker::kernels
