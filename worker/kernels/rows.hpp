// Tensors as the fused kernels see them (row_arguments.hpp), and the kernels by device.
#pragma once

#include <ATen/Parallel.h>
#include <torch/types.h>

#include <algorithm>
#include <optional>

#include "worker/kernels/cuda/launch.hpp"
#include "worker/kernels/simd/rows.hpp"

namespace anchorage::worker::kernels {

// The element of a dtype; nothing where the kernels have none.
std::optional<Element> element_of(torch::ScalarType dtype);

// Whether there are fused kernels for this tensor: on a CPU those of all families, on a GPU the family's, where it
// compiles for the device.
bool are_fused_on(const torch::Tensor& tensor, const cuda::Family& family);

// The element of a tensor that are_fused_on accepts.
Element element_of(const torch::Tensor& tensor);

// The dtype in which kernels compute: f32, of f64 f64.
torch::ScalarType wide_of(torch::ScalarType dtype);

// Calls kernel(arguments, begin, end) on parts of `rows` rows of `width` entries by torch's threads.
template <class Arguments>
void over_rows(void (*kernel)(const Arguments&, std::int64_t, std::int64_t), const Arguments& arguments,
               std::int64_t rows, std::int64_t width) {
  const std::int64_t grain = std::max<std::int64_t>(1, at::internal::GRAIN_SIZE / std::max<std::int64_t>(1, width));
  at::parallel_for(0, rows, grain, [&](std::int64_t begin, std::int64_t end) { kernel(arguments, begin, end); });
}

// A kernel over rows in its form for each kind of device; of a GPU with the shape of its launch, by rows and width.
template <class Arguments>
struct RowKernel {
  void (*on_cpu)(const Arguments&, std::int64_t, std::int64_t);
  cuda::Kernel on_gpu;
  cuda::Grid (*grid)(std::int64_t, std::int64_t);
};

// Runs a kernel on `rows` rows of `width` entries, on the device that the arguments' memory is of.
template <class Arguments>
void run(const RowKernel<Arguments>& kernel, const Arguments& arguments, torch::Device device, std::int64_t rows,
         std::int64_t width) {
  if (device.is_cpu()) return over_rows(kernel.on_cpu, arguments, rows, width);
  cuda::launch(kernel.on_gpu, arguments.element, device, kernel.grid(rows, width), &arguments);
}

}  // namespace anchorage::worker::kernels
