#include "worker/kernels/attention.hpp"

#include "tests/unit/worker/kernels/attention_cases.hpp"
#include "tests/unit/worker/kernels/kernel_cases.hpp"

namespace anchorage::worker::kernels {
namespace {

using tests::attention_case;
using tests::attention_shapes;
using Case = tests::AttentionCase;
using Shape = tests::AttentionShape;
using tests::random_values;

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
      for (const Shape& shape : attention_shapes) {
        const auto made = attention_case(shape, dtype);
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
      for (const Shape& shape : attention_shapes) {
        const auto made = attention_case(shape, dtype);
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
      const auto made = attention_case(shape, torch::kDouble);
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
  const auto made = attention_case(
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
  const auto made = attention_case({}, torch::kFloat);
  made->joined[made->layout.packed(2, 5)][5] = std::numeric_limits<float>::quiet_NaN();  // a key of group 1
  const auto isnan = attend(made->arguments, made->joined, true).mixed.isnan().view({-1, 4, 8}).any(-1);
  for (std::int64_t token = 0; token < made->layout.tokens(); ++token) {
    for (std::int64_t head = 0; head < 4; ++head)
      EXPECT_EQ(isnan[token][head].item<bool>(), token >= made->layout.packed(2, 5) && head >= 2) << token << head;
  }
}

}  // namespace
}  // namespace anchorage::worker::kernels
