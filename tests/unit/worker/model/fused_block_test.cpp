// Blocks as one node of autograd against blocks as autograd records them, in every family.
#include "worker/model/fused_block.hpp"

#include <gtest/gtest.h>
#include <torch/csrc/autograd/autograd.h>
#include <torch/csrc/autograd/function.h>
#include <torch/utils.h>

#include <numeric>

#include "tests/unit/worker/model/golden_model.hpp"
#include "worker/model/forward.hpp"

namespace anchorage::worker {
namespace {

class FusedBlockOfFamily : public testing::TestWithParam<std::string> {};

// What leaves the blocks of the model over suffixes with random caches, and the gradient by what enters of a random
// sum, over the residual stream and, where the MLP's output goes through a norm, over what enters that norm.
struct Passed {
  torch::Tensor hidden, gradient;
};

Passed pass_through(const Transformer& model, kernels::Forms forms) {
  torch::manual_seed(7);
  Transformer with_forms = model;
  with_forms.forms = forms;
  std::vector<TokenIds> rows = {{5, 6, 7, 8, 9}, {10, 11, 12}, {13, 14, 15, 16, 17, 18, 19}, TokenIds(24)};
  std::iota(rows.back().begin(), rows.back().end(), 30);
  const std::vector<std::int64_t> first = {3, 1, 5, 13};
  const ForwardPass pass(with_forms, lay_out(rows, first, torch::kCPU));
  const auto random = [&](torch::IntArrayRef shape) {
    return torch::randn(shape, torch::kDouble).to(model.dtype());
  };
  const auto entering = random({pass.layout().tokens(), model.config.d_model}).requires_grad_(true);
  auto hidden = entering;
  torch::Tensor sum = torch::zeros({}, torch::kDouble);
  for (std::int64_t layer = 0; layer < model.layers(); ++layer) {
    const std::vector<std::int64_t> cached{pass.layout().rows, pass.layout().past, model.config.kv_heads,
                                           model.config.head_dim};
    const AttentionCache cache{random(cached), random(cached)};
    const BlockOutput output = pass.block(layer, hidden, &cache);
    hidden = output.hidden;
    if (output.down.defined()) {
      sum = sum + (output.down * random(output.down.sizes())).sum().to(torch::kDouble) +
            (output.attended * random(output.attended.sizes())).sum().to(torch::kDouble);
    }
  }
  sum = sum + (hidden * random(hidden.sizes())).sum().to(torch::kDouble);
  return {hidden.detach(), torch::autograd::grad({sum}, {entering}).front()};
}

double apart(const torch::Tensor& actual, const torch::Tensor& expected) {
  const auto wide = expected.to(torch::kDouble);
  return ((actual.to(torch::kDouble) - wide).norm() / wide.norm()).item<double>();
}

TEST_P(FusedBlockOfFamily, GivesTheValuesAndGradientsOfTheReference) {
  const Transformer model =
      load_transformer(tests::golden_model(GetParam()).directory, {.device = torch::kCPU, .dtype = torch::kDouble});
  const Passed reference = pass_through(model, kernels::Forms::references());
  kernels::Forms all, node_alone = kernels::Forms::references();
  node_alone.block = true;
  for (const kernels::Forms& forms : {all, node_alone}) {
    const Passed fused = pass_through(model, forms);
    EXPECT_LE(apart(fused.hidden, reference.hidden), 1e-13);
    EXPECT_LE(apart(fused.gradient, reference.gradient), 1e-12);
  }
}

TEST_P(FusedBlockOfFamily, IsAsNearTheExactOnesAsTheReferenceInBfloat16) {
  const auto directory = tests::golden_model(GetParam()).directory;
  const Transformer rounded = load_transformer(directory, {.device = torch::kCPU, .dtype = torch::kBFloat16});
  const Transformer exact = load_transformer(directory, {.device = torch::kCPU, .dtype = torch::kFloat});
  const Passed expected = pass_through(exact, kernels::Forms::references()),
               reference = pass_through(rounded, kernels::Forms::references()), fused = pass_through(rounded, {});
  EXPECT_LE(apart(fused.hidden, expected.hidden), 1.2 * apart(reference.hidden, expected.hidden));
  EXPECT_LE(apart(fused.gradient, expected.gradient), 1.2 * apart(reference.gradient, expected.gradient));
}

INSTANTIATE_TEST_SUITE_P(Families, FusedBlockOfFamily, testing::ValuesIn(tests::golden_model_names),
                         [](const auto& name) { return name.param; });

TEST(FusedBlock, RecordsOneNodeABlockAndNoneWithoutGradients) {
  const Transformer model = load_transformer(tests::golden_model("llama_tied").directory);
  const std::vector<TokenIds> rows = {{5, 6, 7}};
  const ForwardPass pass(model, lay_out(rows, {}, torch::kCPU));
  const auto entering = pass.embed();
  EXPECT_EQ(pass.block(0, entering).hidden.grad_fn(), nullptr);
  const auto leaving = pass.block(0, entering.clone().requires_grad_(true)).hidden;
  ASSERT_NE(leaving.grad_fn(), nullptr);
  EXPECT_EQ(leaving.grad_fn()->name(), "Block");
  EXPECT_EQ(leaving.grad_fn()->num_outputs(), 1U);
}

}  // namespace
}  // namespace anchorage::worker
