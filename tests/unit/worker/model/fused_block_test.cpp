// Blocks as one node of autograd against blocks as autograd records them, in every family.
#include "worker/model/fused_block.hpp"

#include <gtest/gtest.h>
#include <torch/csrc/autograd/autograd.h>
#include <torch/csrc/autograd/function.h>
#include <torch/utils.h>

#include "tests/unit/worker/model/block_cases.hpp"
#include "tests/unit/worker/model/golden_model.hpp"
#include "worker/model/forward.hpp"

namespace anchorage::worker {
namespace {

using tests::apart;
using tests::pass_through;
using tests::PassedBlocks;

class FusedBlockOfFamily : public testing::TestWithParam<std::string> {};

TEST_P(FusedBlockOfFamily, GivesTheValuesAndGradientsOfTheReference) {
  const Transformer model =
      load_transformer(tests::golden_model(GetParam()).directory, {.device = torch::kCPU, .dtype = torch::kDouble});
  const PassedBlocks reference = pass_through(model, kernels::Forms::references());
  kernels::Forms all, node_alone = kernels::Forms::references();
  node_alone.block = true;
  for (const kernels::Forms& forms : {all, node_alone}) {
    const PassedBlocks fused = pass_through(model, forms);
    EXPECT_LE(apart(fused.hidden, reference.hidden), 1e-13);
    EXPECT_LE(apart(fused.gradient, reference.gradient), 1e-12);
  }
}

TEST_P(FusedBlockOfFamily, IsAsNearTheExactOnesAsTheReferenceInBfloat16) {
  const auto directory = tests::golden_model(GetParam()).directory;
  const Transformer rounded = load_transformer(directory, {.device = torch::kCPU, .dtype = torch::kBFloat16});
  const Transformer exact = load_transformer(directory, {.device = torch::kCPU, .dtype = torch::kFloat});
  const PassedBlocks expected = pass_through(exact, kernels::Forms::references()),
                     reference = pass_through(rounded, kernels::Forms::references()),
                     fused = pass_through(rounded, {});
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
