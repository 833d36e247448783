// RMSNorm: a block a row. What it computes stands in worker/kernels/norm.hpp.
#include "worker/kernels/cuda/elements.cuh"

namespace anchorage::worker::kernels::device {

template <class T>
__global__ void __launch_bounds__(1024) norm_rows(NormRows norm) {
  using W = Wide<T>;
  const std::int64_t row = blockIdx.x;
  const T* input = static_cast<const T*>(norm.input) + row * norm.width;
  const T* weight = static_cast<const T*>(norm.weight);
  T* output = static_cast<T*>(norm.output) + row * norm.width;
  W mine = 0;
  for (std::int64_t i = threadIdx.x; i < norm.width; i += blockDim.x) {
    const W x = wide(input[i]);
    mine += x * x;
  }
  const W squares = over_block(mine, Sum(), shared_memory<W>());
  const W inverse = 1 / square_root(squares / static_cast<W>(norm.width) + static_cast<W>(norm.epsilon));
  if (threadIdx.x == 0) static_cast<W*>(norm.inverse)[row] = inverse;
  for (std::int64_t i = threadIdx.x; i < norm.width; i += blockDim.x) {
    const W scaled = wide(input[i]) * inverse, gain = wide(weight[i]);
    output[i] = narrow<T>(norm.plus_one ? scaled * (gain + 1) : rounded_to<T>(scaled) * gain);
  }
}

// dx_i = r w_i g_i - x_i r^3 / width sum_j w_j g_j x_j, plus the residual.
template <class T>
__global__ void __launch_bounds__(1024) norm_rows_back(NormRows norm) {
  using W = Wide<T>;
  const std::int64_t row = blockIdx.x, at = row * norm.width;
  const T* input = static_cast<const T*>(norm.input) + at;
  const T* weight = static_cast<const T*>(norm.weight);
  const T* gradient = static_cast<const T*>(norm.gradient) + at;
  T* result = static_cast<T*>(norm.input_gradient) + at;
  const W offset = norm.plus_one ? 1 : 0;
  W mine = 0;
  for (std::int64_t i = threadIdx.x; i < norm.width; i += blockDim.x)
    mine += (wide(weight[i]) + offset) * wide(gradient[i]) * wide(input[i]);
  const W along = over_block(mine, Sum(), shared_memory<W>());
  const W inverse = static_cast<const W*>(norm.inverse)[row];
  const W pull = along * inverse * inverse * inverse / static_cast<W>(norm.width);
  for (std::int64_t i = threadIdx.x; i < norm.width; i += blockDim.x) {
    const W gained = (wide(weight[i]) + offset) * wide(gradient[i]);
    W sum = multiply_add(-wide(input[i]), pull, gained * inverse);
    if (norm.residual) sum += wide(static_cast<const T*>(norm.residual)[at + i]);
    result[i] = narrow<T>(sum);
  }
}

}  // namespace anchorage::worker::kernels::device
