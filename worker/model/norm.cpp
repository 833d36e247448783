#include "worker/model/norm.hpp"

#include <torch/utils.h>

namespace anchorage::worker {

torch::ScalarType accurate(torch::ScalarType dtype) {
  return dtype == torch::kDouble ? torch::kDouble : torch::kFloat;
}

torch::Tensor gain_of(const Norm& norm, const io::ModelConfig& config) {
  const auto weight = norm.weight.to(accurate(norm.weight.scalar_type()));
  return config.traits().norm == io::NormKind::rms_norm_plus_one ? weight + 1 : weight;
}

torch::Tensor normalize(const Norm& norm, const io::ModelConfig& config, const torch::Tensor& input) {
  const double epsilon = config.norm_epsilon;
  if (config.traits().norm == io::NormKind::layer_norm)
    return at::layer_norm(input, {input.size(-1)}, norm.weight, norm.bias, epsilon);
  const auto wide = input.to(accurate(input.scalar_type()));
  const auto scaled = wide * at::rsqrt(wide.square().mean(-1, true) + epsilon);
  // As in transformers, which rounds before one kind of weight and after the other.
  if (config.traits().norm == io::NormKind::rms_norm_plus_one)
    return (scaled * gain_of(norm, config)).to(input.scalar_type());
  return scaled.to(input.scalar_type()) * norm.weight;
}

}  // namespace anchorage::worker
