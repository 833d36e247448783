// Gated activations: blockIdx.x is the row, the blocks of a row share its entries. What it computes stands in
// worker/kernels/gate.hpp.
#include "worker/kernels/cuda/elements.cuh"

namespace anchorage::worker::kernels::device {

// An activation and its derivative at x.
template <class W>
struct Activated {
  W value, slope;
};

// x s with s = 1 / (1 + e^-x); slope s (1 + x (1 - s)).
template <class W>
__device__ inline Activated<W> silu(W x) {
  const W s = 1 / (1 + power(-x));
  return {x * s, s * multiply_add(x, 1 - s, W(1))};
}

// x (1 + t) / 2 with t = tanh(a (x + b x^3)); slope (1 + t) / 2 + x (1 - t^2) a (1 + 3 b x^2) / 2.
template <class W>
__device__ inline Activated<W> gelu_tanh(W x) {
  const W a = static_cast<W>(0.79788456080286535588), b = static_cast<W>(0.044715), half = static_cast<W>(0.5);
  const W square = x * x;
  const W t = hyperbolic_tangent(a * (x * multiply_add(b, square, W(1))));
  const W step = half * (1 + t);
  const W inner = a * multiply_add(3 * b, square, W(1));
  const W bend = half * x * (multiply_add(-t, t, W(1)) * inner);
  return {x * step, step + bend};
}

template <class W>
__device__ inline Activated<W> activated(Gate gate, W x) {
  return gate == Gate::silu ? silu(x) : gelu_tanh(x);
}

template <class T>
__global__ void gate_rows(GateRows rows) {
  const std::int64_t row = blockIdx.x, step = static_cast<std::int64_t>(gridDim.y) * blockDim.x;
  const T* gate = static_cast<const T*>(rows.up) + row * 2 * rows.width;
  const T* up = gate + rows.width;
  T* output = static_cast<T*>(rows.output) + row * rows.width;
  for (std::int64_t i = blockIdx.y * blockDim.x + threadIdx.x; i < rows.width; i += step)
    output[i] = narrow<T>(rounded_to<T>(activated(rows.gate, wide(gate[i])).value) * wide(up[i]));
}

template <class T>
__global__ void gate_rows_back(GateRows rows) {
  using W = Wide<T>;
  const std::int64_t row = blockIdx.x, step = static_cast<std::int64_t>(gridDim.y) * blockDim.x;
  const T* gate = static_cast<const T*>(rows.up) + row * 2 * rows.width;
  const T* up = gate + rows.width;
  const T* gradient = static_cast<const T*>(rows.gradient) + row * rows.width;
  T* of_gate = static_cast<T*>(rows.up_gradient) + row * 2 * rows.width;
  T* of_up = of_gate + rows.width;
  for (std::int64_t i = blockIdx.y * blockDim.x + threadIdx.x; i < rows.width; i += step) {
    const Activated<W> at = activated(rows.gate, wide(gate[i]));
    const W g = wide(gradient[i]);
    of_gate[i] = narrow<T>(g * wide(up[i]) * at.slope);
    of_up[i] = narrow<T>(g * at.value);
  }
}

}  // namespace anchorage::worker::kernels::device
