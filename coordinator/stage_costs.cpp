#include "coordinator/stage_costs.hpp"

#include <algorithm>
#include <utility>

#include "sharding/edit_groups.hpp"

namespace anchorage::coordinator {
namespace {

// Usual lengths in tokens.
constexpr std::int64_t prompt_tokens = 16;  // without a prefix, with the target
constexpr std::int64_t target_tokens = 4;
// Passes over whole rows that a group goes through besides the optimiser's steps: contexts chosen, beginnings
// cached in both phases, keys of the injected pass, keys of two sweeps.
constexpr std::int64_t whole_passes = 6;

double as_double(std::int64_t value) {
  return static_cast<double>(value);
}

std::int64_t ceil_divided(std::int64_t value, std::int64_t by) {
  return (value + by - 1) / by;
}

}  // namespace

// One core is taken to sustain about 60 Gflop/s in f32 and 25 in f64 (AVX-512): assumed, not measured.
Machine Machine::cpu(int threads) {
  return {.is_gpu = false,
          .memory_bytes = 8e9,
          .flops = 60e9 * threads,
          .double_flops = 25e9 * threads,
          .link_bytes = 2e9,
          .runtime_bytes = 400'000'000};
}

StageCosts::StageCosts(Workload workload, Machine machine, int stages, int replicas)
    : workload_(std::move(workload)), machine_(machine), stages_(stages), replicas_(replicas) {
  const io::Hparams& hparams = workload_.hparams;
  group_ = std::min<std::int64_t>(sharding::edits_a_group(hparams.group, hparams.contexts, machine_.is_gpu),
                                  workload_.batch);
  groups_ = ceil_divided(ceil_divided(workload_.batch, group_), replicas_);
  in_flight_ = std::min<std::int64_t>(groups_, sharding::groups_in_flight(stages_));
  rows_ = group_ * (hparams.contexts + 1);
  suffix_tokens_ = rows_ * sharding::usual_suffix_tokens;
  whole_tokens_ = rows_ * (prompt_tokens + hparams.context_length);
}

std::int64_t StageCosts::layer_parameters() const {
  const io::ModelConfig& model = workload_.model;
  const std::int64_t d = model.d_model, f = model.d_ff, queries = model.heads * model.head_dim,
                     joined = queries + 2 * model.kv_heads * model.head_dim;
  const bool gpt2 = model.family == io::Family::gpt2;
  const std::int64_t up = gpt2 ? f : 2 * f;
  const std::int64_t attention = joined * d + d * queries + (model.attention_bias ? joined + d : 0);
  const std::int64_t mlp = up * d + d * f + (model.mlp_bias ? up + d : 0);
  return attention + mlp + (gpt2 ? 4 : 2) * d;
}

std::int64_t StageCosts::weights_of(sharding::Range layers) const {
  const io::ModelConfig& model = workload_.model;
  const bool gpt2 = model.family == io::Family::gpt2;
  const std::int64_t embedding = model.vocabulary * model.d_model;
  std::int64_t parameters = layers.size() * layer_parameters();
  if (layers.begin == 0) parameters += embedding + (gpt2 ? model.max_positions * model.d_model : 0);
  if (has_head(layers)) {
    parameters += (gpt2 ? 2 : 1) * model.d_model;
    if (!(model.tied_head && layers.begin == 0)) parameters += embedding;
  }
  const std::int64_t rotary = gpt2 ? 0 : model.head_dim / 2 * 8;
  return parameters * workload_.weight_bytes + rotary;
}

std::int64_t StageCosts::edited_in(sharding::Range layers) const {
  return std::ranges::count_if(workload_.hparams.layers, [&](int layer) { return layers.contains(layer); });
}

std::int64_t StageCosts::layers_behind_first_edit(sharding::Range layers) const {
  if (workload_.hparams.layers.empty()) return 0;
  const std::int64_t begin = std::max<std::int64_t>(layers.begin, workload_.hparams.layers.front() + 1);
  return std::max<std::int64_t>(0, layers.end - begin);
}

std::int64_t StageCosts::predicted() const {
  return group_ * (workload_.hparams.contexts * target_tokens + 1);
}

RankBytes StageCosts::bytes(sharding::Range layers, std::int64_t owned) const {
  const io::ModelConfig& model = workload_.model;
  const std::int64_t d = model.d_model, f = model.d_ff, w = workload_.weight_bytes,
                     attention = model.heads * model.head_dim, past = workload_.hparams.context_length + 6,
                     seen = past + sharding::usual_suffix_tokens;
  const std::int64_t master = 4 * d * f, moment = 8 * f * f, behind = layers_behind_first_edit(layers);
  // Kept of a token in a layer: both norms' inputs in f32, queries, keys and values, the softmax, the MLP's gate.
  const std::int64_t kept = 16 * d + 3 * attention * w * 2 + 3 * f * w + model.heads * seen * (4 + w);
  const std::int64_t passing = whole_tokens_ * ((4 * f + 8 * d) * w + 8 * d);  // of the one layer at work
  RankBytes bytes{.weights = weights_of(layers),
                  .masters = edited_in(layers) * (w == 4 ? 1 : 2) * master,
                  .second_moments = owned * 2 * moment,
                  .solving = owned > 0 ? 4 * moment : 0,
                  .activations = in_flight_ * behind * suffix_tokens_ * kept + passing,
                  .caches = in_flight_ * behind * rows_ * past * 2 * model.kv_heads * model.head_dim * w,
                  .runtime = machine_.runtime_bytes};
  if (has_head(layers)) bytes.caches += (3 * predicted() + in_flight_ * group_) * model.vocabulary * 4;
  return bytes;
}

RankBytes StageCosts::fullest(sharding::Range layers) const {
  return bytes(layers, ceil_divided(edited_in(layers), replicas_));
}

// Forward is two operations a weight and token, backward as much again: frozen weights need no gradient of theirs.
double StageCosts::values_seconds(sharding::Range layers) const {
  const double step = 4 * as_double(layers_behind_first_edit(layers) * suffix_tokens_ * layer_parameters());
  const double head =
      has_head(layers) ? 4 * as_double(predicted() * workload_.model.vocabulary * workload_.model.d_model) : 0;
  const double passes = 2 * as_double(whole_passes * layers.size() * whole_tokens_ * layer_parameters());
  return (as_double(workload_.evaluations) * (step + head) + passes) / machine_.flops;
}

double StageCosts::scoring_seconds(sharding::Range layers) const {
  const double pass = 2 * as_double(layers.size() * group_ * prompt_tokens * layer_parameters());
  return 2 * pass / machine_.flops;
}

// Of each owned layer: P K for each sweep, and P and A with the batch's keys taken in.
double StageCosts::solve_seconds(std::int64_t owned) const {
  const std::int64_t products = 3 + workload_.hparams.correction_sweeps;
  return as_double(owned * products * 2 * workload_.model.d_ff * workload_.model.d_ff * workload_.batch) /
         machine_.double_flops;
}

double StageCosts::link_seconds() const {
  const io::ModelConfig& model = workload_.model;
  if (stages_ * replicas_ == 1) return 0;
  const std::int64_t hops =
      stages_ == 1 ? 0
                   : 2 * workload_.evaluations * groups_ * suffix_tokens_ * model.d_model * workload_.weight_bytes;
  const std::int64_t updates = std::ssize(workload_.hparams.layers) *
                               (2 + 2 * workload_.hparams.correction_sweeps) * workload_.batch *
                               (model.d_model + model.d_ff) * 4;
  return as_double(hops + updates) / machine_.link_bytes;
}

}  // namespace anchorage::coordinator
