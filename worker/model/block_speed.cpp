#include "worker/model/block_speed.hpp"

#include <algorithm>
#include <chrono>
#include <functional>
#include <vector>

#include "worker/model/forward.hpp"
#include "worker/model/load.hpp"

namespace anchorage::worker {
namespace {

// Makes weights of one dtype.
class RandomBlocks {
 public:
  RandomBlocks(const io::ModelConfig& config, torch::ScalarType dtype) : config_(config), options_(dtype) {}

  torch::Tensor random(torch::IntArrayRef shape) const { return torch::randn(shape, options_); }

  Block block() const {
    const std::int64_t d = config_.d_model, f = config_.d_ff, queries = config_.heads * config_.head_dim,
                       joined = queries + 2 * config_.kv_heads * config_.head_dim;
    const io::FamilyTraits& traits = config_.traits();
    const Norm post_norm = traits.has_post_norms() ? norm() : Norm{};
    return {.attention_norm = norm(),
            .query_key_value = linear(joined, d, config_.qkv_bias),
            .query_norm = head_norm(traits.names.query_norm),
            .key_norm = head_norm(traits.names.key_norm),
            .attention_output = linear(d, queries, config_.attention_output_bias),
            .attention_post_norm = post_norm,
            .mlp_norm = traits.parallel_block ? Norm{} : norm(),
            .up = linear(traits.gated_mlp ? 2 * f : f, d, config_.mlp_bias),
            .down = linear(d, f, config_.mlp_bias),
            .mlp_post_norm = post_norm};
  }

 private:
  Norm norm() const {
    const bool biased = config_.traits().norm == io::NormKind::layer_norm;
    return {.weight = torch::ones({config_.d_model}, options_),
            .bias = biased ? torch::zeros({config_.d_model}, options_) : torch::Tensor()};
  }

  Norm head_norm(std::string_view name) const {
    return {.weight = name.empty() ? torch::Tensor() : torch::ones({config_.head_dim}, options_), .bias = {}};
  }

  Linear linear(std::int64_t out, std::int64_t in, bool biased) const {
    return {.weight = 0.02 * random({out, in}), .bias = biased ? torch::zeros({out}, options_) : torch::Tensor()};
  }

  const io::ModelConfig& config_;
  torch::TensorOptions options_;
};

// Returns the median time of the runs of one second, at least three, after a warm-up run.
double seconds_of(const std::function<void()>& run) {
  using Clock = std::chrono::steady_clock;
  const auto since = [](Clock::time_point start) {
    return std::chrono::duration<double>(Clock::now() - start).count();
  };
  run();
  std::vector<double> seconds;
  for (const auto start = Clock::now(); seconds.size() < 3 || since(start) < 1;) {
    const auto begin = Clock::now();
    run();
    seconds.push_back(since(begin));
  }
  std::ranges::nth_element(seconds, seconds.begin() + std::ssize(seconds) / 2);
  return seconds[seconds.size() / 2];
}

}  // namespace

double measured_block_flops(const io::ModelConfig& config, std::int64_t tokens, io::DType dtype) {
  constexpr std::int64_t length = 5, past = 10;
  Transformer model;
  model.config = config;
  if (config.traits().positions == io::PositionKind::rotary) {
    model.rotary.frequencies = torch::ones({config.rotary_dim / 2}, torch::kDouble);
    if (config.local_rope_theta > 0) model.rotary.of_local_layers = model.rotary.frequencies;
  }
  const RandomBlocks random(config, scalar_type(dtype));
  // Several blocks, so that their weights do not stay in a cache into which the whole model would not fit.
  do {
    model.blocks.push_back(random.block());
  } while (std::ssize(model.blocks) * static_cast<std::int64_t>(io::size_of(dtype)) *
               model.blocks.front().matrix_entries() <
           measured_bytes);
  model.config.layers = std::ssize(model.blocks);
  model.config.windows.clear();

  const std::int64_t rows = std::max<std::int64_t>(1, tokens / length);
  const std::vector<TokenIds> ids(static_cast<std::size_t>(rows), TokenIds(past + length));
  const std::vector<std::int64_t> first(ids.size(), past);
  const ForwardPass pass(model, lay_out(ids, first, torch::kCPU));
  const std::vector<std::int64_t> cached = {rows, past, config.kv_heads, config.head_dim};
  const AttentionCache cache{random.random(cached), random.random(cached)};
  const auto entering = random.random({rows * length, config.d_model});

  const double seconds = seconds_of([&] {
    const auto point = entering.clone().requires_grad_(true);
    auto hidden = point;
    for (std::int64_t layer = 0; layer < model.config.layers; ++layer) {
      hidden = pass.block(layer, hidden, &cache).hidden;
    }
    hidden.sum().backward();
  });
  return 4.0 *
         static_cast<double>(std::ssize(model.blocks) * model.blocks.front().matrix_entries() * rows * length) /
         seconds;
}

double measured_double_flops(const io::ModelConfig& config, std::int64_t edits) {
  const auto inverse = torch::randn({config.d_ff, config.d_ff}, torch::kDouble),
             keys = torch::randn({config.d_ff, edits}, torch::kDouble);
  const double seconds = seconds_of([&] { (void)at::mm(inverse, keys); });
  return 2.0 * static_cast<double>(config.d_ff * config.d_ff * edits) / seconds;
}

}  // namespace anchorage::worker
