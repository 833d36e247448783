// The fused kernels on a GPU: near their references there and near a CPU's, with the same bits every time.
#include <torch/cuda.h>

#include "tests/unit/worker/kernels/attention_cases.hpp"
#include "tests/unit/worker/kernels/kernel_cases.hpp"
#include "tests/unit/worker/model/block_cases.hpp"
#include "tests/unit/worker/model/golden_model.hpp"
#include "worker/device.hpp"
#include "worker/kernels/cuda/launch.hpp"
#include "worker/kernels/gate.hpp"
#include "worker/kernels/token_rows.hpp"

namespace anchorage::worker::kernels {
namespace {

using tests::random_values;
using torch::autograd::variable_list;

class KernelsOnGpu : public testing::Test {
 protected:
  void SetUp() override {
    if (!torch::cuda::is_available()) GTEST_SKIP() << "CUDA finds no device on this machine";
    device = take_device("cuda", 0);
    torch::manual_seed(1);
  }

  // `pass(fused)` returns tensors on the GPU: those of the fused form come out of launches, have the same bits
  // twice, and are near the reference's.
  template <class Pass>
  static void expect_fused_is_reference(const Pass& pass, const std::string& what) {
    const std::int64_t before = cuda::launches();
    const variable_list fused = pass(true);
    EXPECT_GT(cuda::launches(), before) << what << " did not run in the fused form";
    const variable_list again = pass(true), reference = pass(false);
    for (std::size_t i = 0; i < fused.size(); ++i) {
      EXPECT_TRUE(fused[i].equal(again[i])) << what;
      tests::expect_near(fused[i], reference[i], what);
    }
  }

  torch::Device device = torch::kCPU;
};

TEST_F(KernelsOnGpu, Norms) {
  for (const torch::ScalarType dtype : tests::kernel_dtypes) {
    for (const io::NormKind kind : {io::NormKind::rms_norm, io::NormKind::rms_norm_plus_one}) {
      for (const std::int64_t width : {5, 83, 5120}) {
        const auto norm = tests::random_norm(kind, width, dtype, device);
        const auto random = [&] { return random_values({7, width}, dtype, device); };
        const auto input = random(), gradient = random(), residual = random();
        const auto pass = [&](bool fused) {
          const Normed normed = normalize(norm, input, fused);
          return variable_list{normed.output, normalize_backward(norm, gradient, input, normed, residual, fused)};
        };
        expect_fused_is_reference(pass, "norm");
      }
    }
  }
}

TEST_F(KernelsOnGpu, Gates) {
  for (const torch::ScalarType dtype : tests::kernel_dtypes) {
    for (const io::Activation activation : {io::Activation::silu, io::Activation::gelu_new}) {
      for (const std::int64_t width : {1, 83, 5000}) {
        const GateArguments arguments{activation, true};
        const auto up = 2 * random_values({6, 2 * width}, dtype, device),
                   gradient = random_values({6, width}, dtype, device);
        const auto pass = [&](bool fused) {
          return variable_list{activate(arguments, up, fused), activate_backward(arguments, gradient, up, fused)};
        };
        expect_fused_is_reference(pass, "gate");
      }
    }
  }
}

TEST_F(KernelsOnGpu, Rotations) {
  for (const torch::ScalarType dtype : tests::kernel_dtypes) {
    for (const io::RotaryPairs pairs : {io::RotaryPairs::halves, io::RotaryPairs::neighbors}) {
      for (const bool back : {false, true}) {
        const auto angles = tests::random_angles(pairs, 5, 96, dtype, device);
        const auto joined = random_values({5, 40, 128}, dtype, device);
        const auto pass = [&](bool fused) {
          auto turned = joined.clone();
          rotate_in_place(angles, turned, 36, back, fused);
          return variable_list{turned};
        };
        expect_fused_is_reference(pass, "rotation");
      }
    }
  }
}

TEST_F(KernelsOnGpu, Attention) {
  std::vector<tests::AttentionShape> shapes(std::begin(tests::attention_shapes), std::end(tests::attention_shapes));
  shapes.push_back({.lengths = {120, 35, 90}, .first = {110, 30, 0}, .heads = 32, .groups = 8, .width = 128});
  for (const torch::ScalarType dtype : tests::kernel_dtypes) {
    for (const tests::AttentionShape& shape : shapes) {
      const auto made = tests::attention_case(shape, dtype, device);
      const auto gradient = random_values({made->layout.tokens(), shape.heads * shape.width}, dtype, device);
      const auto pass = [&](bool fused) {
        const Attended attended = attend(made->arguments, made->joined, fused);
        return variable_list{attended.mixed,
                             attend_backward(made->arguments, gradient, made->joined, attended, fused)};
      };
      expect_fused_is_reference(pass, "attention");
    }
  }
}

TEST_F(KernelsOnGpu, Losses) {
  for (const torch::ScalarType dtype : tests::kernel_dtypes) {
    for (const std::int64_t vocabulary : {2, 1003, 128256}) {
      const auto arguments = tests::random_targets(5, 3, vocabulary, dtype, device);
      const auto logits = 4 * random_values({8, vocabulary}, dtype, device);
      const auto pass = [&](bool fused) {
        const auto found = tests::losses_with_gradient(arguments, logits, fused);
        return variable_list{found.losses.nll.detach(), found.losses.kl.detach(),
                             found.losses.missed.to(torch::kFloat), found.gradient};
      };
      expect_fused_is_reference(pass, "losses");
    }
  }
}

TEST_F(KernelsOnGpu, RowsOfTokensHaveTheBitsOfACpu) {
  const std::vector<std::int64_t> taken{4, 0, 6}, of_row{0, 2, 2};
  const auto hidden = random_values({7, 64}, torch::kBFloat16), vectors = random_values({3, 64}, torch::kBFloat16),
             gradient = random_values({7, 64}, torch::kBFloat16);
  const auto pass = [&](torch::Device on) {
    const auto point = vectors.to(on).requires_grad_(true), entering = hidden.to(on).requires_grad_(true);
    const auto output =
        add_rows(token_rows(taken, 7, on), entering, repeat_rows(row_repeats(of_row, 3, on), point));
    auto found = torch::autograd::grad({output}, {entering, point}, {gradient.to(on)});
    found.push_back(output.detach());
    return found;
  };
  const auto here = pass(torch::kCPU), there = pass(device);
  for (std::size_t i = 0; i < here.size(); ++i) EXPECT_TRUE(there[i].cpu().equal(here[i])) << i;
}

TEST_F(KernelsOnGpu, ABlockIsThatOfACpuInEveryFamily) {
  for (const std::string& family : tests::golden_model_names) {
    const auto directory = tests::golden_model(family).directory;
    const auto pass = [&](torch::Device on) {
      return tests::pass_through(load_transformer(directory, {.device = on, .dtype = torch::kDouble}), {});
    };
    const tests::PassedBlocks here = pass(torch::kCPU), there = pass(device);
    EXPECT_LE(tests::apart(there.hidden, here.hidden), 1e-12) << family;
    EXPECT_LE(tests::apart(there.gradient, here.gradient), 1e-11) << family;
  }
}

}  // namespace
}  // namespace anchorage::worker::kernels
