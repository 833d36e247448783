// What the tests of kernels share: tensors of each dtype, how near two forms have to be, finite differences, and
// the instruction sets of this machine.
#pragma once

#include <gtest/gtest.h>
#include <torch/types.h>
#include <torch/utils.h>

#include <hwy/targets.h>
#include <functional>

namespace anchorage::tests {

inline constexpr torch::ScalarType kernel_dtypes[] = {torch::kDouble, torch::kFloat, torch::kBFloat16,
                                                      torch::kHalf};

inline torch::Tensor random_values(torch::IntArrayRef shape, torch::ScalarType dtype) {
  return torch::randn(shape, torch::kDouble).to(dtype);
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
  const auto wide = expected.to(torch::kDouble);
  const double difference = (actual.to(torch::kDouble) - wide).abs().max().item<double>();
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
