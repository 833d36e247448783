#include "worker/kernels/token_rows.hpp"

#include "tests/unit/worker/kernels/kernel_cases.hpp"

namespace anchorage::worker::kernels {
namespace {

using tests::random_values;
using torch::autograd::variable_list;

const std::vector<std::int64_t> taken{4, 0, 6}, of_row{0, 0, 0, 1, 2, 2, 0};

// What a function returns, and the gradients by its inputs of a random sum of it.
variable_list with_gradients(const std::function<torch::Tensor(const variable_list&)>& function,
                             const variable_list& inputs) {
  variable_list points;
  for (const torch::Tensor& input : inputs) points.push_back(input.clone().requires_grad_(true));
  const auto output = function(points);
  torch::manual_seed(9);
  variable_list found =
      torch::autograd::grad({output}, points, {random_values(output.sizes(), output.scalar_type())});
  found.push_back(output.detach());
  return found;
}

void expect_same_bits(const variable_list& found, const variable_list& expected) {
  ASSERT_EQ(found.size(), expected.size());
  for (std::size_t i = 0; i < found.size(); ++i) EXPECT_TRUE(found[i].equal(expected[i])) << i;
}

TEST(TokenRows, GiveTheBitsOfTorchsOwnOperations) {
  torch::manual_seed(1);
  const auto index = token_rows(taken, 7, torch::kCPU);
  for (const torch::ScalarType dtype : tests::kernel_dtypes) {
    const auto hidden = random_values({7, 5}, dtype), rows = random_values({3, 5}, dtype);
    expect_same_bits(with_gradients([&](const auto& in) { return take_rows(index, in[0]); }, {hidden}),
                     with_gradients([&](const auto& in) { return in[0].index_select(0, index.taken); }, {hidden}));
    expect_same_bits(
        with_gradients([&](const auto& in) { return add_rows(index, in[0], in[1]); }, {hidden, rows}),
        with_gradients([&](const auto& in) { return in[0].index_add(0, index.taken, in[1]); }, {hidden, rows}));
    expect_same_bits(
        with_gradients([&](const auto& in) { return replace_rows(index, in[0], in[1]); }, {hidden, rows}),
        with_gradients([&](const auto& in) { return in[0].index_copy(0, index.taken, in[1]); }, {hidden, rows}));
  }
}

TEST(TokenRows, AVectorsGradientAddsThoseOfItsRowsAsTorchDoes) {
  torch::manual_seed(2);
  const auto repeats = row_repeats(of_row, 3, torch::kCPU);
  for (const torch::ScalarType dtype : tests::kernel_dtypes) {
    const auto vectors = random_values({3, 40}, dtype);
    expect_same_bits(
        with_gradients([&](const auto& in) { return repeat_rows(repeats, in[0]); }, {vectors}),
        with_gradients([&](const auto& in) { return in[0].index_select(0, repeats.of_row); }, {vectors}));
  }
}

TEST(TokenRows, RecordNothingWithoutGradients) {
  const auto index = token_rows(taken, 7, torch::kCPU);
  const auto hidden = random_values({7, 5}, torch::kFloat), rows = random_values({3, 5}, torch::kFloat);
  EXPECT_EQ(add_rows(index, hidden, rows).grad_fn(), nullptr);
  EXPECT_NE(add_rows(index, hidden, rows.clone().requires_grad_(true)).grad_fn(), nullptr);
}

}  // namespace
}  // namespace anchorage::worker::kernels
