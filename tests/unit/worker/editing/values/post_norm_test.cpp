#include "worker/editing/values/post_norm.hpp"

#include <gtest/gtest.h>
#include <torch/utils.h>

#include "tests/unit/worker/model/golden_model.hpp"
#include "worker/model/norm.hpp"

namespace anchorage::worker {
namespace {

constexpr std::int64_t norm_width = 32;

class PostNorm : public testing::Test {
 protected:
  PostNorm() {
    torch::manual_seed(5);
    config.family = io::Family::gemma2;
    config.norm_epsilon = 1e-6;
    norm.weight = 0.2 * torch::randn({norm_width}, torch::kDouble);
    down = 3 * torch::randn({2, norm_width}, torch::kDouble);
  }

  torch::Tensor normed(const torch::Tensor& output) const { return normalize(norm, config, output); }

  io::ModelConfig config;
  Norm norm;
  torch::Tensor down;
};

TEST_F(PostNorm, AChangeTakenBackGivesTheDirectionOfTheChangedStream) {
  const auto slopes = slopes_of(norm, config, down).to(torch::kDouble);
  const auto wanted = normed(down) + 0.5 * torch::randn({2, norm_width}, torch::kDouble);
  const auto reached = normed(down + (wanted - normed(down)) * slopes.select(1, 1));
  const auto cosine = (wanted * reached).sum(1) / (wanted.norm(2, 1) * reached.norm(2, 1));
  EXPECT_GT(cosine.min().item<double>(), 0.9999) << "but for the damping";
}

TEST_F(PostNorm, ASmallChangeThatKeepsTheLengthGoesThroughAsTheSlopeSays) {
  const auto slopes = slopes_of(norm, config, down).to(torch::kDouble);
  auto change = torch::randn({2, norm_width}, torch::kDouble);
  change -= (change * down).sum(1, true) / down.square().sum(1, true) * down;
  const auto through = (normed(down + 1e-5 * change) - normed(down)) / 1e-5;
  tests::expect_close(through, change * slopes.select(1, 0), 1e-3);
}

TEST_F(PostNorm, AnEntryThatTheNormMutesIsNotWritten) {
  norm.weight[7] = -1;  // a gain of 0
  norm.weight[8] = -0.999;
  const auto back = slopes_of(norm, config, down).select(1, 1);
  const auto rms = down.square().mean(-1).sqrt();
  for (std::int64_t row = 0; row < 2; ++row) {
    EXPECT_EQ(back[row][7].item<float>(), 0);
    EXPECT_LT(back[row][8].item<double>(), rms[row].item<double>()) << "undamped, a thousand times that";
  }
}

}  // namespace
}  // namespace anchorage::worker
