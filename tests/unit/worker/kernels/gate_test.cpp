#include "worker/kernels/gate.hpp"

#include "tests/unit/worker/kernels/kernel_cases.hpp"

namespace anchorage::worker::kernels {
namespace {

using tests::random_values;

constexpr io::Activation activations[] = {io::Activation::silu, io::Activation::gelu_new, io::Activation::gelu};

TEST(Gate, TheFusedFormGivesWhatTheReferenceGives) {
  torch::manual_seed(1);
  tests::with_each_instruction_set([](const std::string& name) {
    for (const torch::ScalarType dtype : tests::kernel_dtypes) {
      for (const io::Activation activation : activations) {
        for (const std::int64_t width : {1, 7, 64, 83}) {
          const GateArguments arguments{activation, true};
          const auto up = 2 * random_values({6, 2 * width}, dtype), gradient = random_values({6, width}, dtype);
          tests::expect_near(activate(arguments, up, true), activate(arguments, up, false), name);
          tests::expect_near(activate_backward(arguments, gradient, up, true),
                             activate_backward(arguments, gradient, up, false), name);
        }
      }
    }
  });
}

TEST(Gate, GradientsAreThoseOfFiniteDifferences) {
  torch::manual_seed(2);
  for (const io::Activation activation : activations) {
    for (const bool gated : {false, true}) {
      for (const bool fused : {false, true}) {
        const GateArguments arguments{activation, gated};
        const auto up = random_values({2, gated ? 18 : 9}, torch::kDouble),
                   gradient = random_values({2, 9}, torch::kDouble);
        tests::expect_gradient(
            activate_backward(arguments, gradient, up, fused), up,
            [&](const torch::Tensor& at) {
              return (activate(arguments, at, fused) * gradient).sum().item<double>();
            },
            fused ? "fused" : "reference");
      }
    }
  }
}

TEST(Gate, LargeValuesNeitherOverflowNorVanish) {
  for (const torch::ScalarType dtype : tests::kernel_dtypes) {
    const auto gate = torch::tensor({-1e4, -90.0, 0.0, 90.0, 1e4}, torch::kDouble).to(dtype);
    const auto up = at::cat({gate, torch::ones_like(gate)}).unsqueeze(0);
    for (const io::Activation activation : {io::Activation::silu, io::Activation::gelu_new}) {
      tests::expect_near(activate({activation, true}, up, true), activate({activation, true}, up, false), "value");
      const auto gradient = torch::ones_like(gate).unsqueeze(0);
      EXPECT_TRUE(activate_backward({activation, true}, gradient, up, true).isfinite().all().item<bool>()) << dtype;
    }
  }
}

}  // namespace
}  // namespace anchorage::worker::kernels
