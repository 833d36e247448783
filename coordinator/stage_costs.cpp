#include "coordinator/stage_costs.hpp"

#include <algorithm>
#include <cmath>
#include <utility>

#include "sharding/edit_groups.hpp"

namespace anchorage::coordinator {
namespace {

// Typical lengths in tokens. CounterFact has prompts of 7.9, targets of 1.1 and 2.1 from the subject's last
// token to the prompt's end; the demo's facts 8.3, 3.7 and 2.3 (means, SmolLM2's tokenizer).
constexpr std::int64_t prompt_tokens = 8;
constexpr std::int64_t target_tokens = 3;
constexpr std::int64_t subject_end = 7;                          // tokens up to the subject's last one
constexpr std::int64_t kl_prompt_tokens = 6, kl_prompt_end = 4;  // of "{subject} is a"
// The last target token predicts nothing and is not computed.
constexpr std::int64_t row_tokens = prompt_tokens + target_tokens - 1;
// Tokens of the sentences on which the guard measures the loss, once per batch: the loss before a batch is
// known from the one before.
constexpr std::int64_t probe_tokens = 240;

// For memory, which must also hold rows longer than typical.
constexpr std::int64_t max_row_tokens = 16;

double as_double(std::int64_t value) {
  return static_cast<double>(value);
}

std::int64_t ceil_divided(std::int64_t value, std::int64_t by) {
  return value / by + (value % by == 0 ? 0 : 1);
}

}  // namespace

Machine Machine::cpu(int threads) {
  return {.is_gpu = false,
          .memory_bytes = 8e9,
          .flops = 65e9 * threads,
          .double_flops = 14e9 * threads,
          .memory_rate = 4e9,
          .link_bytes = 2e9,
          .runtime_bytes = 400'000'000};
}

StageCosts::StageCosts(Workload workload, Machine machine, int stages, int replicas)
    : workload_(std::move(workload)), machine_(machine), stages_(stages), replicas_(replicas) {
  const io::Hparams& hparams = workload_.hparams;
  const sharding::StepArithmetic step{
      .on_gpu = machine_.is_gpu, .width = workload_.model.d_model, .weight_bytes = workload_.weight_bytes};
  group_ = std::min(sharding::edits_per_group(hparams.group, hparams.contexts, step), workload_.batch);
  groups_ = ceil_divided(ceil_divided(workload_.batch, group_), replicas_);
  in_flight_ = sharding::groups_in_flight(groups_, stages_);
  rows_ = group_ * (hparams.contexts + 1);
  // The first context is the bare prompt; one spare is tried.
  const std::int64_t contexts = hparams.contexts, prefixes = (contexts - 1) * hparams.context_length;
  tokens_ = {
      .steps = group_ * (contexts * (row_tokens - subject_end + 1) + kl_prompt_tokens - kl_prompt_end + 1),
      .whole = group_ * (contexts * row_tokens + prefixes + kl_prompt_tokens),
      .prefix_tokens = group_ * (contexts * subject_end + prefixes),
      .candidates = group_ * ((contexts + 1) * subject_end + prefixes + hparams.context_length + kl_prompt_end)};
}

// Counts weight and bias, or only a weight.
std::int64_t StageCosts::norm_parameters() const {
  const io::ModelConfig& model = workload_.model;
  return (model.traits().norm == io::NormKind::layer_norm ? 2 : 1) * model.d_model;
}

std::int64_t StageCosts::layer_parameters() const {
  const io::ModelConfig& model = workload_.model;
  const std::int64_t d = model.d_model, f = model.d_ff, queries = model.heads * model.head_dim,
                     joined = queries + 2 * model.kv_heads * model.head_dim;
  const std::int64_t up = model.traits().gated_mlp ? 2 * f : f;
  const std::int64_t attention = joined * d + d * queries + (model.attention_bias ? joined + d : 0);
  const std::int64_t mlp = up * d + d * f + (model.mlp_bias ? up + d : 0);
  return attention + mlp + 2 * norm_parameters();
}

std::int64_t StageCosts::weights_of(sharding::Range layers) const {
  const io::ModelConfig& model = workload_.model;
  const bool rotary = model.traits().positions == io::PositionKind::rotary;
  const std::int64_t embedding = model.vocabulary * model.d_model;
  std::int64_t parameters = layers.size() * layer_parameters();
  if (layers.begin == 0) parameters += embedding + (rotary ? 0 : model.max_positions * model.d_model);
  if (has_head(layers)) {
    parameters += norm_parameters();
    if (!(model.tied_head && layers.begin == 0)) parameters += embedding;
  }
  const std::int64_t frequencies = rotary ? model.head_dim / 2 * 8 : 0;
  return parameters * workload_.weight_bytes + frequencies;
}

std::int64_t StageCosts::edited_in(sharding::Range layers) const {
  return std::ranges::count_if(workload_.hparams.layers, [&](int layer) { return layers.contains(layer); });
}

std::int64_t StageCosts::layers_after_first_edit(sharding::Range layers) const {
  if (workload_.hparams.layers.empty()) return 0;
  const std::int64_t begin = std::max<std::int64_t>(layers.begin, workload_.hparams.layers.front() + 1);
  return std::max<std::int64_t>(0, layers.end - begin);
}

std::int64_t StageCosts::predicted() const {
  return group_ * (workload_.hparams.contexts * target_tokens + 1);
}

RankBytes StageCosts::bytes(sharding::Range layers, std::int64_t owned) const {
  const io::ModelConfig& model = workload_.model;
  const std::int64_t suffix_tokens = rows_ * sharding::typical_suffix_tokens,
                     whole_tokens = rows_ * (max_row_tokens + workload_.hparams.context_length);
  const std::int64_t d = model.d_model, f = model.d_ff, w = workload_.weight_bytes,
                     attention = model.heads * model.head_dim, past = workload_.hparams.context_length + 6,
                     seen = past + sharding::typical_suffix_tokens;
  const std::int64_t master = 4 * d * f, moment = 8 * f * f, after = layers_after_first_edit(layers);
  // Kept per token and layer: both norms' inputs in f32, queries, keys and values, the softmax, the MLP's
  // gate.
  const std::int64_t kept = 16 * d + 3 * attention * w * 2 + 3 * f * w + model.heads * seen * (4 + w);
  const std::int64_t passing = whole_tokens * ((4 * f + 8 * d) * w + 8 * d);  // of the layer being computed
  // The master where it is not the model's own weight, the copy for reverting a batch, and the joint write's.
  const std::int64_t masters = (w == 4 ? 1 : 2) + (workload_.joint ? 1 : 0);
  // A checkpoint that is still being written lies in main memory.
  const std::int64_t checkpoint = machine_.is_gpu ? 0 : owned * (master + 2 * moment);
  RankBytes bytes{.weights = weights_of(layers),
                  .masters = edited_in(layers) * masters * master,
                  .second_moments = owned * 2 * moment,
                  .solving = owned > 0 ? (2 * owned + 4) * moment : 0,
                  .activations = in_flight_ * after * suffix_tokens * kept + passing,
                  .caches = in_flight_ * after * rows_ * past * 2 * model.kv_heads * model.head_dim * w,
                  .runtime = machine_.runtime_bytes + checkpoint};
  if (has_head(layers)) bytes.caches += (3 * predicted() + in_flight_ * group_) * model.vocabulary * 4;
  return bytes;
}

RankBytes StageCosts::fullest(sharding::Range layers) const {
  return bytes(layers, ceil_divided(edited_in(layers), replicas_));
}

// Counts two operations for each weight and token: of layers that see `tokens`, and of the head for
// `predicted` tokens.
double StageCosts::forward(std::int64_t layers, std::int64_t tokens) const {
  return 2 * as_double(layers * tokens * layer_parameters());
}

double StageCosts::head(sharding::Range layers, std::int64_t predicted) const {
  return has_head(layers) ? 2 * as_double(predicted * workload_.model.vocabulary * workload_.model.d_model) : 0;
}

// Adds up the optimizer's steps on suffixes, with a backward pass as expensive as the forward (frozen weights
// need no gradients); the passes over whole rows that fill the caches and give the injected keys; the
// prefixes of candidate contexts up to the last edited layer, to choose contexts; and the prefixes in use,
// for keys on the edited weights: upward through the layers, once or in each correction sweep, and once
// before the first sweep.
double StageCosts::values_seconds(sharding::Range layers) const {
  const auto& edited = workload_.hparams.layers;
  if (edited.empty()) return 0;
  const auto before = [&](std::int64_t end) {
    return std::clamp<std::int64_t>(end - layers.begin, 0, layers.size());
  };
  const std::int64_t up_to_last = before(edited.back() + 1), up_to_first = before(edited.front());
  const double step = 2 * (forward(layers_after_first_edit(layers), tokens_.steps) + head(layers, predicted()));
  const double caches = (workload_.joint ? 3 : 1) * forward(layers.size(), tokens_.whole) + head(layers, group_);
  const double contexts = forward(up_to_last, tokens_.candidates);
  std::int64_t upward = 0;  // layer by layer, each from the first edited one on
  for (const int layer : edited) upward += before(layer + 1) - up_to_first;
  const std::int64_t times = workload_.joint ? workload_.hparams.correction_sweeps : 1,
                     first = workload_.joint && times > 0 ? up_to_last - up_to_first : 0;
  const double keys = forward(up_to_first + first + times * upward, tokens_.prefix_tokens);
  return (as_double(workload_.evaluations) * step + caches + contexts + keys) / machine_.flops;
}

double StageCosts::scoring_seconds(sharding::Range layers) const {
  return 2 * (forward(layers.size(), group_ * row_tokens) + head(layers, group_ * target_tokens)) / machine_.flops;
}

double StageCosts::probe_seconds(sharding::Range layers) const {
  return (forward(layers.size(), probe_tokens) + head(layers, probe_tokens)) / machine_.flops / replicas_;
}

double StageCosts::solve_at_once_seconds(std::int64_t owned) const {
  return workload_.joint ? as_double(owned) * layer_seconds() : 0;
}

// Counts P K of every layer in each sweep: the keys of a layer depend on what the layers below have written.
double StageCosts::solve_in_turn_seconds() const {
  const std::int64_t layers = std::ssize(workload_.hparams.layers);
  if (!workload_.joint) return as_double(layers) * layer_seconds();
  return as_double(workload_.hparams.correction_sweeps * layers) * (product_seconds() + matrix_seconds());
}

// Counts P K, and absorbing the batch's keys into P and A. Batches are small compared with the key's width,
// so reading and writing the matrices counts too: an [f, f] matrix 17 times, and 7 new ones.
double StageCosts::layer_seconds() const {
  return 3 * product_seconds() + 24 * matrix_seconds();
}

// Counts the product of an [f, f] matrix with the batch's keys [f, b], f64.
double StageCosts::product_seconds() const {
  return as_double(2 * workload_.model.d_ff * workload_.model.d_ff * workload_.batch) / machine_.double_flops;
}

// Counts reading or writing an [f, f] matrix in f64.
double StageCosts::matrix_seconds() const {
  return as_double(8 * workload_.model.d_ff * workload_.model.d_ff) / machine_.memory_rate;
}

double StageCosts::link_seconds() const {
  const io::ModelConfig& model = workload_.model;
  if (stages_ * replicas_ == 1) return 0;
  const std::int64_t hops =
      stages_ == 1 ? 0
                   : 2 * workload_.evaluations * groups_ * tokens_.steps * model.d_model * workload_.weight_bytes;
  const std::int64_t updates = std::ssize(workload_.hparams.layers) *
                               (2 + 2 * (workload_.joint ? workload_.hparams.correction_sweeps : 0)) *
                               workload_.batch * (model.d_model + model.d_ff) * 4;
  return as_double(hops + updates) / machine_.link_bytes;
}

}  // namespace anchorage::coordinator
