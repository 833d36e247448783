#include "worker/kernels/attention.hpp"

#include <cmath>

#include "tests/unit/worker/kernels/kernel_cases.hpp"
#include "worker/kernels/rows.hpp"
#include "worker/model/token_layout.hpp"

namespace anchorage::worker::kernels {
namespace {

using tests::random_values;

// Texts of several lengths, from several first positions on.
struct Case {
  TokenLayout layout;
  AttentionArguments arguments;
  torch::Tensor joined;
};

struct Shape {
  std::vector<std::int64_t> lengths = {5, 3, 9}, first = {3, 0, 4};
  std::int64_t heads = 4, groups = 2, width = 8, window = 0;
  double cap = 0;
};

std::unique_ptr<Case> make(const Shape& shape, torch::ScalarType dtype) {
  auto made = std::make_unique<Case>();
  std::vector<TokenIds> rows;
  for (const std::int64_t length : shape.lengths) rows.emplace_back(static_cast<std::size_t>(length));
  made->layout = lay_out(rows, shape.first, torch::kCPU);
  const TokenLayout& layout = made->layout;
  auto mask = layout.mask;
  if (shape.window > 0) mask = mask + window_mask(layout, shape.window);
  made->arguments = {.heads = shape.heads,
                     .groups = shape.groups,
                     .divisor = std::sqrt(static_cast<double>(shape.width)),
                     .cap = shape.cap,
                     .window = shape.window,
                     .row_begin = &layout.row_begin,
                     .first_position = &layout.first_position,
                     .padded_index = layout.padded_index,
                     .packed_index = layout.packed_index,
                     .mask = mask.to(wide_of(dtype)),
                     .cached_keys = {},
                     .cached_values = {}};
  if (layout.past > 0) {
    const std::vector<std::int64_t> cached{layout.rows, layout.past + 2, shape.groups, shape.width};
    // Longer than what is seen, as it is when texts have left the group.
    made->arguments.cached_keys = random_values(cached, dtype).narrow(1, 0, layout.past);
    made->arguments.cached_values = random_values(cached, dtype).narrow(1, 0, layout.past);
  }
  made->joined = random_values({layout.tokens(), shape.heads + 2 * shape.groups, shape.width}, dtype);
  return made;
}

const Shape shapes[] = {{},
                        {.width = 5},
                        {.heads = 3, .groups = 1, .width = 19},
                        {.lengths = {1, 4, 2}, .first = {0, 0, 0}},
                        {.lengths = {30, 17, 20}, .first = {20, 16, 0}, .window = 4},
                        {.window = 2, .cap = 1.5}};

// Softmax and sums head by head and token by token, in f64.
torch::Tensor slow(const Case& of) {
  const auto& [layout, arguments, joined] = of;
  const std::int64_t width = joined.size(2), of_group = arguments.heads / arguments.groups;
  const auto wide = joined.to(torch::kDouble);
  auto mixed = torch::zeros({layout.tokens(), arguments.heads, width}, torch::kDouble);
  for (std::int64_t row = 0; row < layout.rows; ++row) {
    for (std::int64_t position = layout.first_position[static_cast<std::size_t>(row)];
         position < layout.row_length(row); ++position) {
      for (std::int64_t head = 0; head < arguments.heads; ++head) {
        std::vector<torch::Tensor> scores, values;
        const std::int64_t token = layout.packed(row, position), group = head / of_group;
        for (std::int64_t seen = 0; seen <= position; ++seen) {
          if (arguments.window > 0 && position - seen >= arguments.window) continue;
          const bool cached = seen < layout.first_position[static_cast<std::size_t>(row)];
          const auto key = cached ? arguments.cached_keys[row][seen][group].to(torch::kDouble)
                                  : wide[layout.packed(row, seen)][arguments.heads + group];
          values.push_back(cached ? arguments.cached_values[row][seen][group].to(torch::kDouble)
                                  : wide[layout.packed(row, seen)][arguments.heads + arguments.groups + group]);
          auto score = wide[token][head].dot(key) / arguments.divisor;
          if (arguments.cap != 0) score = (score / arguments.cap).tanh() * arguments.cap;
          scores.push_back(score);
        }
        mixed[token][head] = at::mv(at::stack(values).t(), at::softmax(at::stack(scores), 0));
      }
    }
  }
  return mixed.view({layout.tokens(), -1});
}

TEST(Attention, BothFormsAreWhatIsWrittenOutTokenByToken) {
  torch::manual_seed(1);
  tests::with_each_instruction_set([](const std::string& name) {
    for (const torch::ScalarType dtype : tests::kernel_dtypes) {
      for (const Shape& shape : shapes) {
        const auto made = make(shape, dtype);
        const auto expected = slow(*made).to(dtype);
        tests::expect_near(attend(made->arguments, made->joined, true).mixed, expected, name + ", fused");
        tests::expect_near(attend(made->arguments, made->joined, false).mixed, expected, name + ", reference");
      }
    }
  });
}

TEST(Attention, TheFusedGradientIsTheReferences) {
  torch::manual_seed(2);
  tests::with_each_instruction_set([](const std::string& name) {
    for (const torch::ScalarType dtype : tests::kernel_dtypes) {
      for (const Shape& shape : shapes) {
        const auto made = make(shape, dtype);
        const auto gradient = random_values({made->layout.tokens(), shape.heads * shape.width}, dtype);
        const auto found = [&](bool fused) {
          const auto attended = attend(made->arguments, made->joined, fused);
          return attend_backward(made->arguments, gradient, made->joined, attended, fused);
        };
        tests::expect_near(found(true), found(false), name);
      }
    }
  });
}

TEST(Attention, GradientsAreThoseOfFiniteDifferences) {
  torch::manual_seed(3);
  for (const Shape& shape :
       {Shape{.lengths = {4, 3}, .first = {2, 0}, .heads = 2, .groups = 1, .width = 3},
        Shape{.lengths = {4, 3}, .first = {2, 0}, .heads = 2, .groups = 2, .width = 3, .window = 2, .cap = 1.0}}) {
    for (const bool fused : {false, true}) {
      const auto made = make(shape, torch::kDouble);
      const auto gradient = random_values({made->layout.tokens(), shape.heads * shape.width}, torch::kDouble);
      const auto found = attend_backward(made->arguments, gradient, made->joined,
                                         attend(made->arguments, made->joined, fused), fused);
      tests::expect_gradient(
          found, made->joined,
          [&](const torch::Tensor& at) {
            return (attend(made->arguments, at, fused).mixed * gradient).sum().item<double>();
          },
          fused ? "fused" : "reference");
    }
  }
}

TEST(Attention, TheSameBitsOnAnyNumberOfThreads) {
  torch::manual_seed(4);
  const int threads = torch::get_num_threads();
  const auto made = make(
      {.lengths = std::vector<std::int64_t>(200, 12), .first = std::vector<std::int64_t>(200, 8)}, torch::kFloat);
  const auto gradient = random_values({made->layout.tokens(), 32}, torch::kFloat);
  const auto found = [&] {
    const auto attended = attend(made->arguments, made->joined, true);
    return at::cat({attended.mixed.flatten(),
                    attend_backward(made->arguments, gradient, made->joined, attended, true).flatten()});
  };
  torch::set_num_threads(1);
  const auto alone = found();
  torch::set_num_threads(3);
  EXPECT_TRUE(found().equal(alone));
  torch::set_num_threads(threads);
}

TEST(Attention, ANumberThatIsNoneIsSeenByAllThatSeeIt) {
  const auto made = make({}, torch::kFloat);
  made->joined[made->layout.packed(2, 5)][5] = std::numeric_limits<float>::quiet_NaN();  // a key of group 1
  const auto isnan = attend(made->arguments, made->joined, true).mixed.isnan().view({-1, 4, 8}).any(-1);
  for (std::int64_t token = 0; token < made->layout.tokens(); ++token) {
    for (std::int64_t head = 0; head < 4; ++head)
      EXPECT_EQ(isnan[token][head].item<bool>(), token >= made->layout.packed(2, 5) && head >= 2) << token << head;
  }
}

}  // namespace
}  // namespace anchorage::worker::kernels
