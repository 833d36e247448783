#include "worker/model/rotary.hpp"

#include <algorithm>
#include <cmath>
#include <numbers>

namespace anchorage::worker {
namespace {

using ScalingKind = io::RopeScaling::Kind;

// Whole turns of a frequency within the context that the model was trained on.
double turns(double frequency, const io::RopeScaling& scaling) {
  return static_cast<double>(scaling.original_max_position_embeddings) * frequency / (2 * std::numbers::pi);
}

double llama3(double frequency, const io::RopeScaling& scaling) {
  const double low = scaling.low_freq_factor, high = scaling.high_freq_factor;
  const double blend = std::clamp((turns(frequency, scaling) - low) / (high - low), 0.0, 1.0);
  return (1 - blend) * frequency / scaling.factor + blend * frequency;
}

// Pairs below the returned ones keep their frequency, those above are divided by the factor.
struct YarnRange {
  double low, high;
};

YarnRange yarn_range(const io::ModelConfig& config) {
  const io::RopeScaling& scaling = config.rope_scaling;
  // The pair, as a real number, that turns so often within the trained context.
  const auto pair_of = [&](double turned) {
    const double context = static_cast<double>(scaling.original_max_position_embeddings);
    return static_cast<double>(config.rotary_dim) * std::log(context / (turned * 2 * std::numbers::pi)) /
           (2 * std::log(config.rope_theta));
  };
  double low = pair_of(scaling.beta_fast), high = pair_of(scaling.beta_slow);
  if (scaling.truncate) {
    low = std::floor(low);
    high = std::ceil(high);
  }
  low = std::max(low, 0.0);
  high = std::min(high, static_cast<double>(config.rotary_dim - 1));
  return {low, low == high ? high + 0.001 : high};
}

double yarn(double frequency, std::int64_t pair, const YarnRange& range, const io::RopeScaling& scaling) {
  const double ramp = std::clamp((static_cast<double>(pair) - range.low) / (range.high - range.low), 0.0, 1.0);
  return ramp * frequency / scaling.factor + (1 - ramp) * frequency;
}

// `factors` are those of longrope.
torch::Tensor scaled_frequencies(const io::ModelConfig& config, const std::vector<double>& factors) {
  const std::int64_t half = config.rotary_dim / 2;
  const io::RopeScaling& scaling = config.rope_scaling;
  const YarnRange range = scaling.kind == ScalingKind::yarn ? yarn_range(config) : YarnRange{0, 1};
  auto frequencies = torch::empty({half}, torch::kDouble);
  auto entry = frequencies.accessor<double, 1>();
  for (std::int64_t i = 0; i < half; ++i) {
    const double frequency = std::pow(config.rope_theta, -static_cast<double>(i) / static_cast<double>(half));
    switch (scaling.kind) {
      case ScalingKind::none:
        entry[i] = frequency;
        break;
      case ScalingKind::linear:
        entry[i] = frequency / scaling.factor;
        break;
      case ScalingKind::llama3:
        entry[i] = llama3(frequency, scaling);
        break;
      case ScalingKind::yarn:
        entry[i] = yarn(frequency, i, range, scaling);
        break;
      case ScalingKind::longrope:
        entry[i] = frequency / factors[static_cast<std::size_t>(i)];
        break;
    }
  }
  return frequencies;
}

}  // namespace

RotaryFrequencies rotary_frequencies(const io::ModelConfig& config, torch::Device device) {
  const io::RopeScaling& scaling = config.rope_scaling;
  RotaryFrequencies rotary{.frequencies = scaled_frequencies(config, scaling.short_factors).to(device),
                           .of_long_texts = {}};
  if (scaling.kind == ScalingKind::longrope)
    rotary.of_long_texts = scaled_frequencies(config, scaling.long_factors).to(device);
  if (config.local_rope_theta > 0) {
    io::ModelConfig local = config;
    local.rope_theta = config.local_rope_theta;
    local.rope_scaling = {};
    rotary.of_local_layers = scaled_frequencies(local, {}).to(device);
  }
  return rotary;
}

Rotation rotation_of(const RotaryFrequencies& rotary, const io::ModelConfig& config, const TokenLayout& layout,
                     bool local) {
  auto frequencies = (local ? rotary.of_local_layers : rotary.frequencies).unsqueeze(0);  // [1 or tokens, e / 2]
  if (rotary.of_long_texts.defined() && !local) {
    std::vector<std::int64_t> is_long;
    for (std::int64_t row = 0; row < layout.rows; ++row) {
      const auto end = static_cast<std::size_t>(layout.row_begin[static_cast<std::size_t>(row) + 1]);
      is_long.resize(end, layout.row_length(row) > config.rope_scaling.original_max_position_embeddings ? 1 : 0);
    }
    const auto chosen = index_tensor(is_long, layout.ids.device()).eq(1).unsqueeze(1);
    frequencies = at::where(chosen, rotary.of_long_texts.unsqueeze(0), frequencies);
  }
  const auto angle = layout.positions.to(torch::kDouble).unsqueeze(1) * frequencies;
  const bool halves = config.traits().rotary_pairs == io::RotaryPairs::halves;
  const auto of_entries = (halves ? at::cat({angle, angle}, -1) : angle.repeat_interleave(2, -1)).unsqueeze(1);
  const double factor = local ? 1.0 : config.rope_scaling.attention_factor;
  if (factor == 1.0) return {of_entries.cos(), of_entries.sin()};
  return {of_entries.cos() * factor, of_entries.sin() * factor};
}

}  // namespace anchorage::worker
