#include "worker/kernels/token_loss.hpp"

#include "tests/unit/worker/kernels/kernel_cases.hpp"

namespace anchorage::worker::kernels {
namespace {

using tests::losses_with_gradient;
using tests::random_targets;
using tests::random_values;

TEST(TokenLoss, TheFusedFormGivesWhatTheReferenceGives) {
  torch::manual_seed(1);
  tests::with_each_instruction_set([](const std::string& name) {
    for (const torch::ScalarType dtype : tests::kernel_dtypes) {
      for (const std::int64_t vocabulary : {2, 16, 1003}) {
        const auto arguments = random_targets(5, 3, vocabulary, dtype);
        const auto logits = 4 * random_values({8, vocabulary}, dtype);
        const auto fused = losses_with_gradient(arguments, logits, true),
                   reference = losses_with_gradient(arguments, logits, false);
        tests::expect_near(fused.losses.nll, reference.losses.nll, name);
        tests::expect_near(fused.losses.kl, reference.losses.kl, name);
        EXPECT_TRUE(fused.losses.missed.equal(reference.losses.missed)) << name;
        tests::expect_near(fused.gradient, reference.gradient, name);
      }
    }
  });
}

TEST(TokenLoss, GradientsAreThoseOfFiniteDifferences) {
  torch::manual_seed(2);
  const auto arguments = random_targets(2, 2, 5, torch::kDouble);
  const auto logits = random_values({4, 5}, torch::kDouble);
  const auto weights = torch::arange(1, 5, torch::kDouble) / 4;
  for (const bool fused : {false, true}) {
    tests::expect_gradient(
        losses_with_gradient(arguments, logits, fused).gradient, logits,
        [&](const torch::Tensor& at) {
          const auto losses = token_losses(arguments, at, fused);
          return (at::cat({losses.nll, losses.kl}) * weights).sum().item<double>();
        },
        fused ? "fused" : "reference");
  }
}

TEST(TokenLoss, OfTokensThatAreAsProbableTheFirstIsTheOneThatIsSaid) {
  const auto logits = torch::tensor({1.0, 3.0, 3.0, 0.0}).repeat({3, 1});
  const TokenLossArguments arguments{torch::tensor({1, 2, 0}, torch::kInt64), torch::empty({0, 4})};
  const auto expected = torch::tensor({0, 1, 1}).to(torch::kBool);
  for (const bool fused : {false, true}) EXPECT_TRUE(token_losses(arguments, logits, fused).missed.equal(expected));
}

TEST(TokenLoss, LargeLogitsDoNotOverflowAndANumberThatIsNoneStays) {
  const auto logits =
      torch::tensor({1e4, -1e4, 0.0, 9e3, std::numeric_limits<double>::quiet_NaN(), 0.0}, torch::kDouble)
          .to(torch::kBFloat16)
          .view({2, 3});
  const TokenLossArguments arguments{torch::tensor({0, 0}, torch::kInt64), torch::empty({0, 3})};
  const auto nll = token_losses(arguments, logits, true).nll;
  EXPECT_EQ(nll[0].item<float>(), 0);
  EXPECT_TRUE(std::isnan(nll[1].item<float>()));
}

TEST(TokenLoss, OneLossAloneHasAGradient) {
  torch::manual_seed(3);
  const auto arguments = random_targets(2, 1, 7, torch::kDouble);
  const auto logits = random_values({3, 7}, torch::kDouble);
  for (const bool of_kl : {false, true}) {
    std::vector<torch::Tensor> gradients;
    for (const bool fused : {false, true}) {
      const auto point = logits.clone().requires_grad_(true);
      const auto losses = token_losses(arguments, point, fused);
      gradients.push_back(torch::autograd::grad({(of_kl ? losses.kl : losses.nll).sum()}, {point}).front());
    }
    tests::expect_near(gradients[1], gradients[0], of_kl ? "kl" : "nll");
  }
}

}  // namespace
}  // namespace anchorage::worker::kernels
