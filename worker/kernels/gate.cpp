#include "worker/kernels/gate.hpp"

#include <torch/utils.h>

#include "io/error.hpp"
#include "worker/kernels/rows.hpp"

namespace anchorage::worker::kernels {
namespace {

torch::Tensor activated(io::Activation activation, const torch::Tensor& input) {
  switch (activation) {
    case io::Activation::silu:
      return at::silu(input);
    case io::Activation::gelu_new:
      return at::gelu(input, "tanh");
    case io::Activation::gelu:
      return at::gelu(input, "none");
  }
  throw io::InternalError("an activation without a function");
}

torch::Tensor activated_backward(io::Activation activation, const torch::Tensor& gradient,
                                 const torch::Tensor& input) {
  switch (activation) {
    case io::Activation::silu:
      return at::silu_backward(gradient, input);
    case io::Activation::gelu_new:
      return at::gelu_backward(gradient, input, "tanh");
    case io::Activation::gelu:
      return at::gelu_backward(gradient, input, "none");
  }
  throw io::InternalError("an activation without a gradient");
}

const RowKernel<GateRows> gate_forward{simd::gate_rows, cuda::gate_rows, cuda::blocks_over_rows};
const RowKernel<GateRows> gate_backward{simd::gate_rows_back, cuda::gate_rows_back, cuda::blocks_over_rows};

// One activation alone is one operation of torch's already; Highway has no error function for the exact GELU.
bool is_fused(const GateArguments& arguments, const torch::Tensor& up) {
  return arguments.gated && arguments.activation != io::Activation::gelu && are_fused_on(up, cuda::gate_family);
}

GateRows rows_of_gate(const GateArguments& arguments, const torch::Tensor& up) {
  return {.element = element_of(up),
          .gate = arguments.activation == io::Activation::silu ? Gate::silu : Gate::gelu_tanh,
          .width = up.size(-1) / 2,
          .up = up.const_data_ptr()};
}

}  // namespace

torch::Tensor activate(const GateArguments& arguments, const torch::Tensor& up, bool fused) {
  if (!arguments.gated) return activated(arguments.activation, up);
  if (!fused || !is_fused(arguments, up)) {
    const auto halves = up.chunk(2, -1);
    return activated(arguments.activation, halves[0]) * halves[1];
  }
  auto rows = rows_of_gate(arguments, up);
  auto key = torch::empty({up.size(0), rows.width}, up.options());
  rows.output = key.data_ptr();
  run(gate_forward, rows, up.device(), up.size(0), rows.width);
  return key;
}

torch::Tensor activate_backward(const GateArguments& arguments, const torch::Tensor& gradient,
                                const torch::Tensor& up, bool fused) {
  if (!arguments.gated) return activated_backward(arguments.activation, gradient, up);
  if (!fused || !is_fused(arguments, up)) {
    const auto halves = up.chunk(2, -1);
    return at::cat({activated_backward(arguments.activation, gradient * halves[1], halves[0]),
                    gradient * activated(arguments.activation, halves[0])},
                   -1);
  }
  auto rows = rows_of_gate(arguments, up);
  auto by_up = torch::empty_like(up);
  rows.gradient = gradient.const_data_ptr();
  rows.up_gradient = by_up.data_ptr();
  run(gate_backward, rows, up.device(), up.size(0), rows.width);
  return by_up;
}

}  // namespace anchorage::worker::kernels
