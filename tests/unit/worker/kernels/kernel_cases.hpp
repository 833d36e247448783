// What the tests of kernels share: tensors of each dtype, how near two forms have to be, finite differences, and
// the instruction sets of this machine.
#pragma once

#include <gtest/gtest.h>
#include <torch/csrc/autograd/autograd.h>
#include <torch/types.h>
#include <torch/utils.h>

#include <hwy/targets.h>
#include <functional>

#include "worker/kernels/norm.hpp"
#include "worker/kernels/rotation.hpp"
#include "worker/kernels/token_loss.hpp"

namespace anchorage::tests {

inline constexpr torch::ScalarType kernel_dtypes[] = {torch::kDouble, torch::kFloat, torch::kBFloat16,
                                                      torch::kHalf};

inline torch::Tensor random_values(torch::IntArrayRef shape, torch::ScalarType dtype,
                                   torch::Device device = torch::kCPU) {
  return torch::randn(shape, torch::kDouble).to(device, dtype);
}

inline worker::kernels::NormArguments random_norm(io::NormKind kind, std::int64_t width, torch::ScalarType dtype,
                                                  torch::Device device = torch::kCPU) {
  worker::kernels::NormArguments norm{kind, random_values({width}, dtype, device), {}, 1e-5};
  if (kind == io::NormKind::layer_norm) norm.bias = random_values({width}, dtype, device);
  return norm;
}

inline worker::kernels::RotationArguments random_angles(io::RotaryPairs pairs, std::int64_t tokens,
                                                        std::int64_t turned, torch::ScalarType dtype,
                                                        torch::Device device = torch::kCPU) {
  const auto angle = torch::rand({tokens, 1, turned / 2}, torch::kDouble) * 6;
  const auto both = pairs == io::RotaryPairs::halves ? at::cat({angle, angle}, -1) : angle.repeat_interleave(2, -1);
  return {pairs, both.cos().to(device, dtype), both.sin().to(device, dtype)};
}

inline worker::kernels::TokenLossArguments random_targets(std::int64_t predicted, std::int64_t others,
                                                          std::int64_t vocabulary, torch::ScalarType dtype,
                                                          torch::Device device = torch::kCPU) {
  const auto wide = dtype == torch::kDouble ? torch::kDouble : torch::kFloat;
  return {torch::randint(vocabulary, {predicted}, torch::kInt64).to(device),
          at::log_softmax(3 * random_values({others, vocabulary}, wide), -1).to(device)};
}

struct LossesWithGradient {
  worker::kernels::TokenLosses losses;
  torch::Tensor gradient;
};

// The gradient is that of the sum of all losses, each times a number of its own.
inline LossesWithGradient losses_with_gradient(const worker::kernels::TokenLossArguments& arguments,
                                               const torch::Tensor& logits, bool fused) {
  const auto point = logits.clone().requires_grad_(true);
  LossesWithGradient found{worker::kernels::token_losses(arguments, point, fused), {}};
  const auto weights = torch::arange(1, 1 + logits.size(0), found.losses.nll.options().requires_grad(false)) / 4;
  const auto sum = (at::cat({found.losses.nll, found.losses.kl}) * weights).sum();
  found.gradient = torch::autograd::grad({sum}, {point}).front();
  return found;
}

// Two roundings of the dtype, of the largest value.
inline double allowed(torch::ScalarType dtype) {
  switch (dtype) {
    case torch::kDouble:
      return 1e-13;
    case torch::kFloat:
      return 2e-6;
    case torch::kHalf:
      return 2.0 / 1024;
    default:
      return 2.0 / 128;
  }
}

inline void expect_near(const torch::Tensor& actual, const torch::Tensor& expected, const std::string& what) {
  ASSERT_EQ(actual.sizes(), expected.sizes()) << what;
  ASSERT_EQ(actual.scalar_type(), expected.scalar_type()) << what;
  const auto wide = expected.to(torch::kCPU, torch::kDouble);
  const double difference = (actual.to(torch::kCPU, torch::kDouble) - wide).abs().max().item<double>();
  const double tolerance = allowed(expected.scalar_type()) * std::max(1.0, wide.abs().max().item<double>());
  EXPECT_LE(difference, tolerance) << what << ", " << expected.scalar_type() << ": " << 100 * difference / tolerance
                                   << " % of the tolerance";
}

// Compares a gradient with central differences of `loss` at `point`, all f64.
inline void expect_gradient(const torch::Tensor& gradient, const torch::Tensor& point,
                            const std::function<double(const torch::Tensor&)>& loss, const std::string& what) {
  constexpr double step = 1e-5;
  auto differences = torch::zeros_like(point);
  for (std::int64_t i = 0; i < point.numel(); ++i) {
    auto up = point.clone(), down = point.clone();
    up.view(-1)[i] += step;
    down.view(-1)[i] -= step;
    differences.view(-1)[i] = (loss(up) - loss(down)) / (2 * step);
  }
  const double apart = (gradient - differences).abs().max().item<double>();
  EXPECT_LE(apart, 1e-8 * std::max(1.0, differences.abs().max().item<double>())) << what;
}

// Runs the check with each instruction set that the kernels are compiled for and this machine has.
inline void with_each_instruction_set(const std::function<void(const std::string& name)>& check) {
  for (const std::int64_t target : hwy::SupportedAndGeneratedTargets()) {
    hwy::SetSupportedTargetsForTest(target);
    hwy::GetChosenTarget().Update(hwy::SupportedTargets());
    check(hwy::TargetName(target));
  }
  hwy::SetSupportedTargetsForTest(0);
  hwy::GetChosenTarget().Update(hwy::SupportedTargets());
}

}  // namespace anchorage::tests
