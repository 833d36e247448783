#include "worker/model/products.hpp"

#include <gtest/gtest.h>
#include <torch/csrc/autograd/autograd.h>
#include <torch/utils.h>

namespace anchorage::worker {
namespace {

TEST(Products, AndTheirGradientsAreThoseOfTorchsLinearLayer) {
  for (const torch::ScalarType dtype : {torch::kDouble, torch::kFloat, torch::kBFloat16, torch::kHalf}) {
    for (const bool biased : {false, true}) {
      torch::manual_seed(3);
      const auto options = torch::TensorOptions(dtype);
      const Linear linear{.weight = torch::randn({7, 12}, options),
                          .bias = biased ? torch::randn({7}, options) : torch::Tensor()};
      const auto input = torch::randn({5, 12}, options).requires_grad_(true);
      const auto gradient = torch::randn({5, 7}, options);
      const auto expected = at::linear(input, linear.weight, linear.bias);
      const auto output = differentiable_product(linear, input);
      EXPECT_TRUE(at::equal(output, expected)) << dtype;
      EXPECT_TRUE(at::equal(product(linear, input.detach()), expected)) << dtype;
      EXPECT_TRUE(at::equal(torch::autograd::grad({output}, {input}, {gradient}).front(),
                            torch::autograd::grad({expected}, {input}, {gradient}).front()))
          << dtype;
    }
  }
}

TEST(Products, OfAnInputWithoutGradientRecordNothing) {
  EXPECT_FALSE(differentiable_product({torch::randn({3, 4}), {}}, torch::randn({2, 4})).requires_grad());
}

TEST(Products, TakeTimeForwardAndBackward) {
  const Linear linear{torch::randn({256, 256}), {}};
  const auto input = torch::randn({64, 256}).requires_grad_(true);
  const double before = product_seconds();
  const auto output = differentiable_product(linear, input);
  const double forward = product_seconds();
  EXPECT_GT(forward, before);
  (void)torch::autograd::grad({output.sum()}, {input});
  EXPECT_GT(product_seconds(), forward);
}

}  // namespace
}  // namespace anchorage::worker
