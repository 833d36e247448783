// The arithmetic and the indices of the device sources, run on a CPU (tests/support/host_grid.hpp) and held against
// torch's own operations. Not a test of a GPU: tests/gpu/kernels_on_gpu.cpp is.
#include "tests/support/host_grid.hpp"

#include "tests/unit/worker/kernels/attention_cases.hpp"
#include "tests/unit/worker/kernels/kernel_cases.hpp"
#include "worker/kernels/cuda/attention.cu"
#include "worker/kernels/cuda/gate.cu"
#include "worker/kernels/cuda/loss.cu"
#include "worker/kernels/cuda/norm.cu"
#include "worker/kernels/cuda/rotation.cu"
#include "worker/kernels/gate.hpp"

namespace anchorage::worker::kernels {
namespace {

using tests::random_values;
using tests::ThreadOrder;

// Calls check(T()) with the type that device sources have for the dtype.
template <class Check>
void with_element(torch::ScalarType dtype, const Check& check) {
  if (dtype == torch::kBFloat16) check(device::bf16());
  if (dtype == torch::kHalf) check(device::f16());
  if (dtype == torch::kFloat) check(float());
  if (dtype == torch::kDouble) check(double());
}

// Calls run(order) with both orders of threads and blocks, expects the same bits of them, and returns them.
template <class Run>
std::vector<torch::Tensor> in_both_orders(const Run& run) {
  const std::vector<torch::Tensor> found = run(ThreadOrder::ascending), again = run(ThreadOrder::descending);
  for (std::size_t i = 0; i < found.size(); ++i) {
    const auto bytes = [](const torch::Tensor& tensor) { return tensor.contiguous().view(-1).view(torch::kByte); };
    EXPECT_TRUE(bytes(found[i]).equal(bytes(again[i])));
  }
  return found;
}

struct Pass {
  torch::Tensor output, gradient;
};

// Forward, and with a gradient backward.
Pass normalize_on_host(const NormArguments& norm, const torch::Tensor& input, const torch::Tensor& gradient,
                       const torch::Tensor& residual) {
  Pass pass;
  with_element(input.scalar_type(), [&]<class T>(T) {
    const auto found = in_both_orders([&](ThreadOrder order) {
      const auto output = torch::empty_like(input), result = torch::empty_like(input);
      const std::int64_t width = input.size(-1), rows = input.numel() / width;
      const auto inverse = torch::empty({rows}, input.options().dtype(wide_of(input.scalar_type())));
      const NormRows arguments{.width = width,
                               .epsilon = norm.epsilon,
                               .plus_one = norm.kind == io::NormKind::rms_norm_plus_one,
                               .input = input.const_data_ptr(),
                               .weight = norm.weight.const_data_ptr(),
                               .inverse = inverse.data_ptr(),
                               .output = output.data_ptr(),
                               .gradient = gradient.const_data_ptr(),
                               .residual = residual.defined() ? residual.const_data_ptr() : nullptr,
                               .input_gradient = result.data_ptr()};
      tests::run_on_host(device::norm_rows<T>, cuda::block_per_row(rows, width), arguments, order);
      tests::run_on_host(device::norm_rows_back<T>, cuda::block_per_row(rows, width), arguments, order);
      return std::vector{output, result};
    });
    pass = {found[0], found[1]};
  });
  return pass;
}

TEST(DeviceArithmetic, NormsAreTheReferences) {
  torch::manual_seed(1);
  for (const torch::ScalarType dtype : tests::kernel_dtypes) {
    for (const io::NormKind kind : {io::NormKind::rms_norm, io::NormKind::rms_norm_plus_one}) {
      for (const std::int64_t width : {5, 64, 83, 600}) {
        const auto norm = tests::random_norm(kind, width, dtype);
        const auto input = random_values({5, width}, dtype), gradient = random_values({5, width}, dtype),
                   residual = random_values({5, width}, dtype);
        const auto reference = normalize(norm, input, false);
        for (const torch::Tensor& added : {torch::Tensor(), residual}) {
          const Pass found = normalize_on_host(norm, input, gradient, added);
          tests::expect_near(found.output, reference.output, "output");
          tests::expect_near(found.gradient, normalize_backward(norm, gradient, input, reference, added, false),
                             "gradient");
        }
      }
    }
  }
}

TEST(DeviceArithmetic, ANumberThatIsNoneStaysInItsRowOfANorm) {
  for (const torch::ScalarType dtype : tests::kernel_dtypes) {
    const auto norm = tests::random_norm(io::NormKind::rms_norm, 40, dtype);
    auto input = random_values({3, 40}, dtype);
    input[1][7] = std::numeric_limits<double>::quiet_NaN();
    const auto isnan = normalize_on_host(norm, input, input, {}).output.isnan();
    EXPECT_TRUE(isnan[1].all().item<bool>()) << dtype;
    EXPECT_FALSE(isnan[0].any().item<bool>() || isnan[2].any().item<bool>()) << dtype;
  }
}

Pass activate_on_host(io::Activation activation, const torch::Tensor& up, const torch::Tensor& gradient) {
  Pass pass;
  with_element(up.scalar_type(), [&]<class T>(T) {
    const auto found = in_both_orders([&](ThreadOrder order) {
      const auto output = torch::empty_like(gradient), by_up = torch::empty_like(up);
      const std::int64_t rows = up.size(0), width = up.size(1) / 2;
      const GateRows arguments{.gate = activation == io::Activation::silu ? Gate::silu : Gate::gelu_tanh,
                               .width = width,
                               .up = up.const_data_ptr(),
                               .output = output.data_ptr(),
                               .gradient = gradient.const_data_ptr(),
                               .up_gradient = by_up.data_ptr()};
      tests::run_on_host(device::gate_rows<T>, cuda::blocks_over_rows(rows, width), arguments, order);
      tests::run_on_host(device::gate_rows_back<T>, cuda::blocks_over_rows(rows, width), arguments, order);
      return std::vector{output, by_up};
    });
    pass = {found[0], found[1]};
  });
  return pass;
}

TEST(DeviceArithmetic, GatesAreTheReferences) {
  torch::manual_seed(2);
  for (const torch::ScalarType dtype : tests::kernel_dtypes) {
    for (const io::Activation activation : {io::Activation::silu, io::Activation::gelu_new}) {
      for (const std::int64_t width : {1, 64, 83, 2100}) {
        const auto up = 2 * random_values({3, 2 * width}, dtype), gradient = random_values({3, width}, dtype);
        const Pass found = activate_on_host(activation, up, gradient);
        tests::expect_near(found.output, activate({activation, true}, up, false), "key");
        tests::expect_near(found.gradient, activate_backward({activation, true}, gradient, up, false), "gradient");
      }
    }
  }
}

TEST(DeviceArithmetic, LargeValuesOfAGateNeitherOverflowNorVanish) {
  for (const torch::ScalarType dtype : tests::kernel_dtypes) {
    const auto gate = torch::tensor({-1e4, -90.0, 0.0, 90.0, 1e4}, torch::kDouble).to(dtype);
    const auto up = at::cat({gate, torch::ones_like(gate)}).unsqueeze(0);
    for (const io::Activation activation : {io::Activation::silu, io::Activation::gelu_new}) {
      const Pass found = activate_on_host(activation, up, torch::ones_like(gate).unsqueeze(0));
      tests::expect_near(found.output, activate({activation, true}, up, false), "value");
      EXPECT_TRUE(found.gradient.isfinite().all().item<bool>()) << dtype;
    }
  }
}

TEST(DeviceArithmetic, RotationsAreTheReferences) {
  torch::manual_seed(3);
  for (const torch::ScalarType dtype : tests::kernel_dtypes) {
    for (const io::RotaryPairs pairs : {io::RotaryPairs::halves, io::RotaryPairs::neighbors}) {
      for (const std::int64_t turned : {2, 6, 40}) {
        for (const bool back : {false, true}) {
          const auto angles = tests::random_angles(pairs, 5, turned, dtype);
          const auto joined = random_values({5, 4, 40}, dtype);
          auto expected = joined.clone();
          rotate_in_place(angles, expected, 3, back, false);
          with_element(dtype, [&]<class T>(T) {
            const auto found = in_both_orders([&](ThreadOrder order) {
              auto result = joined.clone();
              const RotationRows arguments{.heads = 3,
                                           .of_row = 4,
                                           .width = 40,
                                           .turned = turned,
                                           .neighbors = pairs == io::RotaryPairs::neighbors,
                                           .back = back,
                                           .joined = result.data_ptr(),
                                           .cosine = angles.cosine.const_data_ptr(),
                                           .sine = angles.sine.const_data_ptr()};
              tests::run_on_host(device::rotate_rows<T>, cuda::blocks_over_rows(5, 3 * turned), arguments, order);
              return std::vector{result};
            });
            tests::expect_near(found[0], expected, "turned");
            EXPECT_TRUE(found[0].select(1, 3).equal(joined.select(1, 3)));
            EXPECT_TRUE(found[0].narrow(2, turned, 40 - turned).equal(joined.narrow(2, turned, 40 - turned)));
          });
        }
      }
    }
  }
}

Pass attend_on_host(const tests::AttentionCase& of, const torch::Tensor& gradient) {
  Pass pass;
  const AttentionArguments& attention = of.arguments;
  with_element(of.joined.scalar_type(), [&]<class T>(T) {
    const auto found = in_both_orders([&](ThreadOrder order) {
      const std::int64_t tokens = of.joined.size(0);
      const auto wide = of.joined.options().dtype(wide_of(of.joined.scalar_type()));
      // Full of NaN: what is not written must not be read.
      const auto weights = torch::full({tokens, attention.heads, attention.columns}, std::nan(""), wide),
                 slopes = weights.clone();
      const auto mixed = torch::empty_like(gradient), by_joined = torch::empty_like(of.joined);
      AttentionRows arguments{.heads = attention.heads,
                              .groups = attention.groups,
                              .width = of.joined.size(2),
                              .columns = attention.columns,
                              .window = attention.window,
                              .scale = 1 / attention.divisor,
                              .cap = attention.cap,
                              .row_begin = attention.row_begin.const_data_ptr<std::int64_t>(),
                              .first_position = attention.first_position.const_data_ptr<std::int64_t>(),
                              .joined = of.joined.const_data_ptr(),
                              .weights = weights.data_ptr(),
                              .mixed = mixed.data_ptr(),
                              .gradient = gradient.const_data_ptr(),
                              .joined_gradient = by_joined.data_ptr(),
                              .text_of_token = attention.text_of_token.const_data_ptr<std::int64_t>(),
                              .slopes = slopes.data_ptr()};
      if (attention.cached_keys.defined()) {
        arguments.cached_keys = attention.cached_keys.const_data_ptr();
        arguments.cached_values = attention.cached_values.const_data_ptr();
        arguments.cache_stride = attention.cached_keys.stride(0);
      }
      const cuda::Grid queries = cuda::block_per_query(arguments, tokens);
      tests::run_on_host(device::attend<T>, queries, arguments, order);
      tests::run_on_host(device::attend_back_by_queries<T>, queries, arguments, order);
      tests::run_on_host(device::attend_back_by_columns<T>, cuda::block_per_column(arguments, tokens), arguments,
                         order);
      return std::vector{mixed, by_joined};
    });
    pass = {found[0], found[1]};
  });
  return pass;
}

TEST(DeviceArithmetic, AttentionIsTheReferences) {
  torch::manual_seed(4);
  std::vector<tests::AttentionShape> shapes(std::begin(tests::attention_shapes), std::end(tests::attention_shapes));
  shapes.push_back(
      {.lengths = {40, 35}, .first = {36, 34}, .heads = 2, .groups = 1, .width = 70});  // several warps
  for (const torch::ScalarType dtype : tests::kernel_dtypes) {
    for (const tests::AttentionShape& shape : shapes) {
      const auto made = tests::attention_case(shape, dtype);
      const auto gradient = random_values({made->layout.tokens(), shape.heads * shape.width}, dtype);
      const Pass found = attend_on_host(*made, gradient);
      const auto reference = attend(made->arguments, made->joined, false);
      tests::expect_near(found.output, reference.mixed, "mixed");
      tests::expect_near(found.gradient, attend_backward(made->arguments, gradient, made->joined, reference, false),
                         "gradient");
    }
  }
}

TEST(DeviceArithmetic, ANumberThatIsNoneIsSeenByAllThatSeeIt) {
  const auto made = tests::attention_case({}, torch::kFloat);
  made->joined[made->layout.packed(2, 5)][5] = std::numeric_limits<float>::quiet_NaN();  // a key of group 1
  const auto mixed = attend_on_host(*made, torch::ones({made->layout.tokens(), 32})).output;
  const auto isnan = mixed.isnan().view({-1, 4, 8}).any(-1);
  for (std::int64_t token = 0; token < made->layout.tokens(); ++token) {
    for (std::int64_t head = 0; head < 4; ++head)
      EXPECT_EQ(isnan[token][head].item<bool>(), token >= made->layout.packed(2, 5) && head >= 2) << token << head;
  }
}

struct LossPass {
  torch::Tensor losses, missed, gradient;
};

// The gradient is that of the sum of all losses, each times a number of its own.
LossPass losses_on_host(const TokenLossArguments& arguments, const torch::Tensor& logits) {
  LossPass pass;
  with_element(logits.scalar_type(), [&]<class T>(T) {
    const auto found = in_both_orders([&](ThreadOrder order) {
      const std::int64_t rows = logits.size(0), width = logits.size(1), predicted = arguments.target_ids.size(0);
      const auto wide = logits.options().dtype(wide_of(logits.scalar_type()));
      const auto totals = torch::empty({rows}, wide), losses = torch::empty({rows}, wide),
                 weights = torch::arange(1, 1 + rows, wide) / 4;
      const auto missed = torch::empty({predicted}, wide.dtype(torch::kBool));
      const auto gradient = torch::empty_like(logits);
      const LossRows of_rows{.width = width,
                             .predicted = predicted,
                             .logits = logits.const_data_ptr(),
                             .targets = arguments.target_ids.const_data_ptr<std::int64_t>(),
                             .before = arguments.before.const_data_ptr(),
                             .totals = totals.data_ptr(),
                             .losses = losses.data_ptr(),
                             .missed = missed.data_ptr<bool>(),
                             .gradient = weights.const_data_ptr(),
                             .logits_gradient = gradient.data_ptr()};
      tests::run_on_host(device::loss_rows<T>, cuda::block_per_row(rows, width), of_rows, order);
      tests::run_on_host(device::loss_rows_back<T>, cuda::blocks_over_rows(rows, width), of_rows, order);
      return std::vector{losses, missed, gradient};
    });
    pass = {found[0], found[1], found[2]};
  });
  return pass;
}

TEST(DeviceArithmetic, LossesAreTheReferences) {
  torch::manual_seed(5);
  for (const torch::ScalarType dtype : tests::kernel_dtypes) {
    for (const std::int64_t vocabulary : {2, 16, 3003}) {
      const auto arguments = tests::random_targets(5, 3, vocabulary, dtype);
      const auto logits = 4 * random_values({8, vocabulary}, dtype);
      const LossPass found = losses_on_host(arguments, logits);
      const auto reference = tests::losses_with_gradient(arguments, logits, false);
      tests::expect_near(found.losses, at::cat({reference.losses.nll, reference.losses.kl}).detach(), "losses");
      EXPECT_TRUE(found.missed.equal(reference.losses.missed)) << dtype;
      tests::expect_near(found.gradient, reference.gradient, "gradient");
    }
  }
}

TEST(DeviceArithmetic, OfTokensThatAreAsProbableTheFirstIsTheOneThatIsSaid) {
  const auto logits = torch::tensor({1.0F, 3.0F, 3.0F, 0.0F}).repeat({3, 1});
  const TokenLossArguments arguments{torch::tensor({1, 2, 0}, torch::kInt64), torch::empty({0, 4})};
  EXPECT_TRUE(losses_on_host(arguments, logits).missed.equal(torch::tensor({0, 1, 1}).to(torch::kBool)));
}

TEST(DeviceArithmetic, LargeLogitsDoNotOverflowAndANumberThatIsNoneStays) {
  const auto logits =
      torch::tensor({1e4, -1e4, 0.0, 9e3, std::numeric_limits<double>::quiet_NaN(), 0.0}, torch::kDouble)
          .to(torch::kBFloat16)
          .view({2, 3});
  const TokenLossArguments arguments{torch::tensor({0, 0}, torch::kInt64), torch::empty({0, 3})};
  const auto nll = losses_on_host(arguments, logits).losses;
  EXPECT_EQ(nll[0].item<float>(), 0);
  EXPECT_TRUE(std::isnan(nll[1].item<float>()));
}

TEST(DeviceArithmetic, Bfloat16IsRoundedAsTorchRoundsIt) {
  auto bits = torch::randint(std::int64_t{1} << 32, {20000}, torch::kInt64);
  bits = at::cat({bits, torch::tensor({0x3F808000, 0x3F818000, 0x7F7FFFFF, 0x7F800000, 0x00000001, 0x7F800001},
                                      torch::kInt64)});
  const auto values = bits.to(torch::kInt).view(torch::kFloat), expected = values.to(torch::kBFloat16);
  for (std::int64_t i = 0; i < values.numel(); ++i) {
    const float found = device::rounded_to<device::bf16>(values[i].item<float>()),
                wanted = expected[i].item<float>();
    EXPECT_TRUE(found == wanted || (std::isnan(found) && std::isnan(wanted))) << bits[i].item<std::int64_t>();
  }
}

}  // namespace
}  // namespace anchorage::worker::kernels
