#include "worker/kernels/norm.hpp"

#include <torch/utils.h>

#include "worker/kernels/rows.hpp"

namespace anchorage::worker::kernels {
namespace {

const RowKernel<NormRows> norm_forward{simd::norm_rows, cuda::norm_rows, cuda::block_per_row};
const RowKernel<NormRows> norm_backward{simd::norm_rows_back, cuda::norm_rows_back, cuda::block_per_row};

NormRows rows_of_norm(const NormArguments& norm, const torch::Tensor& input, const torch::Tensor& inverse) {
  return {.element = element_of(input),
          .width = input.size(-1),
          .epsilon = norm.epsilon,
          .plus_one = norm.kind == io::NormKind::rms_norm_plus_one,
          .input = input.const_data_ptr(),
          .weight = norm.weight.const_data_ptr(),
          .inverse = inverse.data_ptr()};
}

}  // namespace

torch::Tensor gain_of(const NormArguments& norm) {
  const auto weight = norm.weight.to(wide_of(norm.weight.scalar_type()));
  return norm.kind == io::NormKind::rms_norm_plus_one ? weight + 1 : weight;
}

Normed normalize(const NormArguments& norm, const torch::Tensor& input, bool fused) {
  if (norm.kind == io::NormKind::layer_norm) {
    const auto [output, mean, inverse] =
        at::native_layer_norm(input, {input.size(-1)}, norm.weight, norm.bias, norm.epsilon);
    return {output, mean, inverse};
  }
  const auto dtype = input.scalar_type();
  if (fused && are_fused_on(input, cuda::norm_family)) {
    auto shape = input.sizes().vec();
    shape.back() = 1;
    Normed normed{torch::empty_like(input), {}, torch::empty(shape, input.options().dtype(wide_of(dtype)))};
    auto rows = rows_of_norm(norm, input, normed.inverse);
    rows.output = normed.output.data_ptr();
    run(norm_forward, rows, input.device(), normed.inverse.numel(), rows.width);
    return normed;
  }
  const auto wide = input.to(wide_of(dtype));
  const auto inverse = at::rsqrt(wide.square().mean(-1, true) + norm.epsilon);
  const auto scaled = wide * inverse;
  if (norm.kind == io::NormKind::rms_norm_plus_one) return {(scaled * gain_of(norm)).to(dtype), {}, inverse};
  return {scaled.to(dtype) * norm.weight, {}, inverse};
}

torch::Tensor normalize_backward(const NormArguments& norm, const torch::Tensor& gradient,
                                 const torch::Tensor& input, const Normed& normed, const torch::Tensor& residual,
                                 bool fused) {
  if (norm.kind == io::NormKind::layer_norm) {
    const auto by_input =
        std::get<0>(at::native_layer_norm_backward(gradient, input, {input.size(-1)}, normed.mean, normed.inverse,
                                                   norm.weight, norm.bias, {true, false, false}));
    return residual.defined() ? by_input + residual : by_input;
  }
  if (fused && are_fused_on(input, cuda::norm_family)) {
    auto result = torch::empty_like(input);
    auto rows = rows_of_norm(norm, input, normed.inverse);
    rows.gradient = gradient.const_data_ptr();
    if (residual.defined()) rows.residual = residual.const_data_ptr();
    rows.input_gradient = result.data_ptr();
    run(norm_backward, rows, input.device(), normed.inverse.numel(), rows.width);
    return result;
  }
  const auto wide = input.to(wide_of(input.scalar_type()));
  const auto gained = gradient.to(wide.scalar_type()) * gain_of(norm);
  const auto along = (gained * wide).mean(-1, true);
  auto by_input = normed.inverse * (gained - wide * normed.inverse.square() * along);
  if (residual.defined()) by_input = by_input + residual;
  return by_input.to(input.scalar_type());
}

}  // namespace anchorage::worker::kernels
