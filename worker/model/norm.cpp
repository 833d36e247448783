#include "worker/model/norm.hpp"

namespace anchorage::worker {

kernels::NormArguments arguments_of(const Norm& norm, const io::ModelConfig& config) {
  return {config.traits().norm, norm.weight, norm.bias, config.norm_epsilon};
}

torch::Tensor normalize(const Norm& norm, const io::ModelConfig& config, const torch::Tensor& input) {
  return kernels::normalize(arguments_of(norm, config), input, /*fused=*/false).output;
}

torch::Tensor gain_of(const Norm& norm, const io::ModelConfig& config) {
  return kernels::gain_of(arguments_of(norm, config));
}

}  // namespace anchorage::worker
