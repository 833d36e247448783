#include "worker/kernels/rows.hpp"

namespace anchorage::worker::kernels {

std::optional<Element> element_of(torch::ScalarType dtype) {
  switch (dtype) {
    case torch::kBFloat16:
      return Element::bf16;
    case torch::kHalf:
      return Element::f16;
    case torch::kFloat:
      return Element::f32;
    case torch::kDouble:
      return Element::f64;
    default:
      return std::nullopt;
  }
}

bool are_fused_on(const torch::Tensor& tensor, const cuda::Family& family) {
  const auto element = element_of(tensor.scalar_type());
  if (!element) return false;
  return tensor.is_cpu() || (tensor.is_cuda() && cuda::are_there(family, *element, tensor.device()));
}

Element element_of(const torch::Tensor& tensor) {
  return element_of(tensor.scalar_type()).value();
}

torch::ScalarType wide_of(torch::ScalarType dtype) {
  return dtype == torch::kDouble ? torch::kDouble : torch::kFloat;
}

}  // namespace anchorage::worker::kernels
