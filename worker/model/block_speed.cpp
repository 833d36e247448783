#include "worker/model/block_speed.hpp"

#include <algorithm>
#include <chrono>
#include <functional>
#include <vector>

#include "worker/model/forward.hpp"

namespace anchorage::worker {
namespace {

torch::Tensor weight(std::initializer_list<std::int64_t> shape) {
  return 0.02 * torch::randn(shape);
}

Norm norm(const io::ModelConfig& config) {
  return {
      .weight = torch::ones({config.d_model}),
      .bias = config.traits().norm == io::NormKind::layer_norm ? torch::zeros({config.d_model}) : torch::Tensor()};
}

Norm head_norm(const io::ModelConfig& config, std::string_view name) {
  return {.weight = name.empty() ? torch::Tensor() : torch::ones({config.head_dim}), .bias = {}};
}

Linear linear(std::int64_t out, std::int64_t in, bool biased) {
  return {.weight = weight({out, in}), .bias = biased ? torch::zeros({out}) : torch::Tensor()};
}

Block random_block(const io::ModelConfig& config) {
  const std::int64_t d = config.d_model, f = config.d_ff, queries = config.heads * config.head_dim,
                     joined = queries + 2 * config.kv_heads * config.head_dim;
  const Norm post_norm = config.traits().has_post_norms() ? norm(config) : Norm{};
  return {.attention_norm = norm(config),
          .query_key_value = linear(joined, d, config.qkv_bias),
          .query_norm = head_norm(config, config.traits().names.query_norm),
          .key_norm = head_norm(config, config.traits().names.key_norm),
          .attention_output = linear(d, queries, config.attention_output_bias),
          .attention_post_norm = post_norm,
          .mlp_norm = config.traits().parallel_block ? Norm{} : norm(config),
          .up = linear(config.traits().gated_mlp ? 2 * f : f, d, config.mlp_bias),
          .down = linear(d, f, config.mlp_bias),
          .mlp_post_norm = post_norm};
}

std::int64_t weights_of(const Block& block) {
  return block.query_key_value.weight.numel() + block.attention_output.weight.numel() + block.up.weight.numel() +
         block.down.weight.numel();
}

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

double measured_block_flops(const io::ModelConfig& config, std::int64_t tokens) {
  constexpr std::int64_t length = 5, past = 10;
  Transformer model;
  model.config = config;
  if (config.traits().positions == io::PositionKind::rotary) {
    model.rotary.frequencies = torch::ones({config.rotary_dim / 2}, torch::kDouble);
    if (config.local_rope_theta > 0) model.rotary.of_local_layers = model.rotary.frequencies;
  }
  // Several blocks, so that their weights do not stay in a cache into which the whole model would not fit.
  do {
    model.blocks.push_back(random_block(config));
  } while (std::ssize(model.blocks) * 4 * weights_of(model.blocks.front()) < 100'000'000);
  model.config.layers = std::ssize(model.blocks);
  model.config.windows.clear();

  const std::int64_t rows = std::max<std::int64_t>(1, tokens / length);
  const std::vector<TokenIds> ids(static_cast<std::size_t>(rows), TokenIds(past + length));
  const std::vector<std::int64_t> first(ids.size(), past);
  const ForwardPass pass(model, lay_out(ids, first, torch::kCPU));
  const std::vector<std::int64_t> cached = {rows, past, config.kv_heads, config.head_dim};
  const AttentionCache cache{torch::randn(cached), torch::randn(cached)};
  const auto entering = torch::randn({rows * length, config.d_model});

  const double seconds = seconds_of([&] {
    const auto point = entering.clone().requires_grad_(true);
    auto hidden = point;
    for (std::int64_t layer = 0; layer < model.config.layers; ++layer) {
      hidden = pass.block(layer, hidden, &cache).hidden;
    }
    hidden.sum().backward();
  });
  return 4.0 * static_cast<double>(std::ssize(model.blocks) * weights_of(model.blocks.front()) * rows * length) /
         seconds;
}

double measured_double_flops(const io::ModelConfig& config, std::int64_t edits) {
  const auto inverse = torch::randn({config.d_ff, config.d_ff}, torch::kDouble),
             keys = torch::randn({config.d_ff, edits}, torch::kDouble);
  const double seconds = seconds_of([&] { (void)at::mm(inverse, keys); });
  return 2.0 * static_cast<double>(config.d_ff * config.d_ff * edits) / seconds;
}

}  // namespace anchorage::worker
