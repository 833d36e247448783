#include "worker/kernels/rows.hpp"

#include "io/error.hpp"

namespace anchorage::worker::kernels {

bool are_fused_on(const torch::Tensor& tensor) {
  const auto dtype = tensor.scalar_type();
  return tensor.is_cpu() &&
         (dtype == torch::kBFloat16 || dtype == torch::kHalf || dtype == torch::kFloat || dtype == torch::kDouble);
}

simd::Element element_of(const torch::Tensor& tensor) {
  switch (tensor.scalar_type()) {
    case torch::kBFloat16:
      return simd::Element::bf16;
    case torch::kHalf:
      return simd::Element::f16;
    case torch::kFloat:
      return simd::Element::f32;
    case torch::kDouble:
      return simd::Element::f64;
    default:
      throw io::InternalError("a kernel for weights of another dtype");
  }
}

torch::ScalarType wide_of(torch::ScalarType dtype) {
  return dtype == torch::kDouble ? torch::kDouble : torch::kFloat;
}

}  // namespace anchorage::worker::kernels
