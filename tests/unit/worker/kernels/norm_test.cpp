#include "worker/kernels/norm.hpp"

#include "tests/unit/worker/kernels/kernel_cases.hpp"

namespace anchorage::worker::kernels {
namespace {

using tests::random_norm;
using tests::random_values;

constexpr io::NormKind kinds[] = {io::NormKind::layer_norm, io::NormKind::rms_norm,
                                  io::NormKind::rms_norm_plus_one};

TEST(Norm, TheFusedFormGivesWhatTheReferenceGives) {
  torch::manual_seed(1);
  tests::with_each_instruction_set([](const std::string& name) {
    for (const torch::ScalarType dtype : tests::kernel_dtypes) {
      for (const io::NormKind kind : kinds) {
        for (const std::int64_t width : {5, 7, 64, 83}) {
          const auto norm = random_norm(kind, width, dtype);
          const auto input = random_values({5, 3, width}, dtype), gradient = random_values({5, 3, width}, dtype),
                     residual = random_values({5, 3, width}, dtype);
          const auto fused = normalize(norm, input, true), reference = normalize(norm, input, false);
          tests::expect_near(fused.output, reference.output, name);
          for (const torch::Tensor& added : {torch::Tensor(), residual}) {
            tests::expect_near(normalize_backward(norm, gradient, input, fused, added, true),
                               normalize_backward(norm, gradient, input, reference, added, false), name);
          }
        }
      }
    }
  });
}

TEST(Norm, GradientsAreThoseOfFiniteDifferences) {
  torch::manual_seed(2);
  for (const io::NormKind kind : kinds) {
    for (const bool fused : {false, true}) {
      const auto norm = random_norm(kind, 11, torch::kDouble);
      const auto input = random_values({2, 11}, torch::kDouble), gradient = random_values({2, 11}, torch::kDouble);
      const auto found = normalize_backward(norm, gradient, input, normalize(norm, input, fused), {}, fused);
      tests::expect_gradient(
          found, input,
          [&](const torch::Tensor& at) {
            return (normalize(norm, at, fused).output * gradient).sum().item<double>();
          },
          fused ? "fused" : "reference");
    }
  }
}

TEST(Norm, ANumberThatIsNoneStaysInItsRow) {
  for (const torch::ScalarType dtype : tests::kernel_dtypes) {
    const auto norm = random_norm(io::NormKind::rms_norm, 40, dtype);
    auto input = random_values({3, 40}, dtype);
    input[1][7] = std::numeric_limits<double>::quiet_NaN();
    const auto isnan = normalize(norm, input, true).output.isnan();
    EXPECT_TRUE(isnan[1].all().item<bool>()) << dtype;
    EXPECT_FALSE(isnan[0].any().item<bool>() || isnan[2].any().item<bool>()) << dtype;
  }
}

}  // namespace
}  // namespace anchorage::worker::kernels
