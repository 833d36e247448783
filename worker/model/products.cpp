#include "worker/model/products.hpp"

#include <torch/csrc/autograd/autograd.h>
#include <torch/utils.h>

#include <memory>
#include <optional>

#include "worker/kernels/recorded_node.hpp"
#include "worker/stopwatch.hpp"

namespace anchorage::worker {
namespace {

thread_local double seconds = 0;

class ProductNode : public torch::autograd::Node {
 public:
  explicit ProductNode(Linear linear) : linear_(std::move(linear)) {}

  torch::autograd::variable_list apply(torch::autograd::variable_list&& gradients) override {
    const torch::NoGradGuard no_gradients;
    return {product_backward(linear_, gradients.front())};
  }
  std::string name() const override { return "Product"; }

 private:
  Linear linear_;
};

}  // namespace

torch::Tensor product(const Linear& linear, const torch::Tensor& input) {
  std::optional<Stopwatch> watch;
  if (input.is_cpu()) watch.emplace(seconds);
  return linear.bias.defined() ? at::addmm(linear.bias, input, linear.weight.t())
                               : at::mm(input, linear.weight.t());
}

torch::Tensor product_backward(const Linear& linear, const torch::Tensor& gradient) {
  std::optional<Stopwatch> watch;
  if (gradient.is_cpu()) watch.emplace(seconds);
  return at::mm(gradient, linear.weight);
}

torch::Tensor differentiable_product(const Linear& linear, const torch::Tensor& input) {
  torch::Tensor output;
  {
    const torch::NoGradGuard no_gradients;
    output = product(linear, input.detach());
  }
  if (torch::autograd::compute_requires_grad(input))
    kernels::record(std::make_unique<ProductNode>(linear), input, {output});
  return output;
}

double product_seconds() {
  return seconds;
}

}  // namespace anchorage::worker
