#include "worker/model/generate.hpp"

#include <torch/utils.h>
#include <algorithm>
#include <cmath>
#include <functional>
#include <numeric>
#include <random>

#include "io/error.hpp"
#include "worker/model/forward.hpp"

namespace anchorage::worker {
namespace {

std::int32_t sample(std::span<const float> log_probabilities, const GenerateOptions& options,
                    std::mt19937_64& random) {
  const auto size = log_probabilities.size();
  if (options.temperature <= 0) {
    return static_cast<std::int32_t>(std::ranges::max_element(log_probabilities) - log_probabilities.begin());
  }
  std::vector<std::int32_t> order(size);
  std::iota(order.begin(), order.end(), 0);
  const auto probability = [&](std::int32_t id) { return log_probabilities[static_cast<std::size_t>(id)]; };
  std::ranges::stable_sort(order, std::greater<>(), probability);
  if (options.top_k > 0) order.resize(std::min(size, static_cast<std::size_t>(options.top_k)));

  std::vector<double> cumulative;
  double mass = 0;
  for (const std::int32_t id : order) {
    cumulative.push_back(mass += std::exp((probability(id) - probability(order.front())) / options.temperature));
  }
  const auto nucleus = std::ranges::lower_bound(cumulative, options.top_p * mass);
  const double kept = nucleus == cumulative.end() ? mass : *nucleus;
  const double draw = static_cast<double>(random() >> 11) * 0x1.0p-53 * kept;
  const auto chosen = std::ranges::upper_bound(cumulative, draw) - cumulative.begin();
  return order[static_cast<std::size_t>(std::min<std::ptrdiff_t>(chosen, std::ssize(order) - 1))];
}

// The caches of all layers, which grow by one layout's tokens at their positions.
class Caches {
 public:
  explicit Caches(std::size_t layers) : caches_(layers) {}

  const AttentionCache* of(std::int64_t layer) const {
    const auto& cache = caches_[static_cast<std::size_t>(layer)];
    return cache.keys.defined() ? &cache : nullptr;
  }

  void append(std::int64_t layer, const TokenLayout& layout, const BlockOutput& output) {
    auto& cache = caches_[static_cast<std::size_t>(layer)];
    const auto row = at::div(layout.padded_index, layout.length, "floor");
    const auto grown = [&](const torch::Tensor& old, const torch::Tensor& fresh) {
      const std::int64_t seen = layout.past + layout.length;
      auto all = torch::zeros({layout.rows, seen, fresh.size(1), fresh.size(2)}, fresh.options());
      if (old.defined()) all.narrow(1, 0, layout.past).copy_(old);
      return all.index_put_({row, layout.positions}, fresh);
    };
    cache = {grown(cache.keys, output.attention_keys), grown(cache.values, output.attention_values)};
  }

 private:
  std::vector<AttentionCache> caches_;
};

// Whether one of the rows has just become a long text, which longrope turns by other angles
// (io/model/rope_scaling.hpp).
bool grew_long(const io::ModelConfig& config, std::span<const TokenIds> rows) {
  if (config.rope_scaling.long_factors.empty()) return false;
  const std::int64_t limit = config.rope_scaling.original_max_position_embeddings;
  return std::ranges::any_of(rows, [&](const TokenIds& row) { return std::ssize(row) == limit + 1; });
}

// Returns log-probabilities [rows, V] f32 on the host of the token after each row; undefined except on the
// last stage.
torch::Tensor advance(const Transformer& model, const TokenLayout& layout, Caches& caches) {
  const ForwardPass pass(model, layout);
  auto hidden = pass.embed();
  for (std::int64_t layer = 0; layer < model.layers(); ++layer) {
    const BlockOutput output = pass.block(layer, hidden, caches.of(layer));
    if (model.holds(layer)) caches.append(layer, layout, output);
    hidden = output.hidden;
  }
  if (!model.stages.is_last()) return {};
  const std::vector<std::int64_t> ends(layout.row_begin.begin() + 1, layout.row_begin.end());
  const auto last = (torch::tensor(ends) - 1).to(model.device());
  return next_token_log_probabilities(model, hidden.index_select(0, last)).to(torch::kFloat).cpu().contiguous();
}

}  // namespace

std::vector<std::int32_t> end_of_text_ids(const io::ModelConfig& config) {
  std::vector<std::int32_t> ids;
  for (const std::int64_t id : config.eos_ids) ids.push_back(static_cast<std::int32_t>(id));
  return ids;
}

std::vector<TokenIds> generate(const Transformer& model, std::span<const TokenIds> prompts,
                               const GenerateOptions& options) {
  const torch::NoGradGuard no_gradients;
  std::vector<TokenIds> rows(prompts.begin(), prompts.end()), produced(prompts.size());
  std::vector<std::mt19937_64> random;
  for (std::size_t row = 0; row < rows.size(); ++row) {
    std::seed_seq seed{options.seed, static_cast<std::uint64_t>(row)};
    random.emplace_back(seed);
  }
  std::vector<bool> ended(rows.size(), false);
  std::vector<std::int64_t> first;
  Caches caches(static_cast<std::size_t>(model.layers()));
  for (std::int64_t step = 0; step < options.max_new_tokens; ++step) {
    if (grew_long(model.config, rows)) {  // cached keys were turned by other angles
      first.clear();
      caches = Caches(static_cast<std::size_t>(model.layers()));
    }
    const auto log_probabilities = advance(model, lay_out(rows, first, model.device()), caches);
    auto drawn = torch::zeros({std::ssize(rows)}, torch::kInt64);
    for (std::size_t row = 0; row < rows.size() && log_probabilities.defined(); ++row) {
      const std::span scores(
          log_probabilities.data_ptr<float>() + static_cast<std::int64_t>(row) * log_probabilities.size(1),
          static_cast<std::size_t>(log_probabilities.size(1)));
      drawn[static_cast<std::int64_t>(row)] = sample(scores, options, random[row]);
    }
    drawn = model.stages
                .broadcast(drawn.to(model.device()), model.stages.last(), drawn.sizes(), torch::kInt64,
                           "broadcast tokens")
                .cpu();
    first.clear();
    for (std::size_t row = 0; row < rows.size(); ++row) {
      const auto id = static_cast<std::int32_t>(drawn.data_ptr<std::int64_t>()[row]);
      ended[row] = ended[row] || std::ranges::count(options.stop_ids, id) > 0;
      if (!ended[row]) {
        produced[row].push_back(id);
        ended[row] = options.is_complete && options.is_complete(produced[row]);
      }
      first.push_back(std::ssize(rows[row]));
      rows[row].push_back(id);
    }
    if (std::ranges::all_of(ended, std::identity())) break;
    const auto longest = std::ranges::max(rows, {}, &TokenIds::size).size();
    if (static_cast<std::int64_t>(longest) > model.config.max_positions) break;
  }
  model.stages.deliver();
  return produced;
}

}  // namespace anchorage::worker
