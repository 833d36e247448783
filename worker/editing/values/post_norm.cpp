#include "worker/editing/values/post_norm.hpp"

#include <torch/utils.h>

#include "worker/model/norm.hpp"

namespace anchorage::worker {

torch::Tensor slopes_of(const Norm& norm, const io::ModelConfig& config, const torch::Tensor& down) {
  const auto gain = gain_of(norm, config).to(torch::kFloat).unsqueeze(0);
  const auto rms = (down.to(torch::kFloat).square().mean(-1, true) + config.norm_epsilon).sqrt();
  const auto damped = gain.square() + norm_damping * norm_damping * gain.square().mean();
  return at::stack({gain / rms, rms * gain / damped}, 1);
}

}  // namespace anchorage::worker
