#include "worker/editing/batch_editor.hpp"

#include <torch/utils.h>
#include <algorithm>
#include <cmath>
#include <numeric>
#include <utility>

#include "io/error.hpp"
#include "worker/editing/anchors/exchange.hpp"
#include "worker/editing/update/joint_write.hpp"
#include "worker/evaluation/completion.hpp"
#include "worker/evaluation/gathered_rows.hpp"
#include "worker/stopwatch.hpp"

namespace anchorage::worker {
namespace {

// Scores the bare prompts with their targets, where the model can score them.
PendingScores score_bare_prompts(const Transformer& model, const PromptBuilder& prompts,
                                 std::span<const io::Edit> edits) {
  std::vector<Completion> completions;
  for (const io::Edit& edit : edits)
    completions.push_back(completion_of(prompts, edit.model_prompt(), edit.target, edit.target_prefix));
  return PendingScores::where_possible(model, completions);
}

// nll and match of each edit: [edits, 2] f64.
torch::Tensor table_of(const std::vector<CompletionScore>& scores) {
  std::vector<double> values;
  for (const CompletionScore& score : scores) {
    values.push_back(score.mean_nll());
    values.push_back(score.all_argmax() ? 1 : 0);
  }
  return torch::tensor(values, torch::kDouble).view({-1, 2});
}

// Returns the mean over all ranks' edits of |target|, [edits of a group, d] each; NaN without any.
double mean_norm(const std::vector<torch::Tensor>& targets, const DividedBatch& batch) {
  std::vector<torch::Tensor> norms;
  for (const torch::Tensor& target : targets) norms.push_back(target.norm(2, 1, /*keepdim=*/true));
  return batch.gather_written(norms, 1, "gather norms of targets").to(torch::kDouble).mean().item<double>();
}

// Returns each layer's sum of refreshed anchor scores, in millionths of an edit.
std::vector<std::int64_t> anchor_loads(const RollingScores& rolling, std::int64_t layers) {
  std::vector<std::int64_t> loads;
  for (std::int64_t layer = 0; layer < layers; ++layer) {
    const auto scores = rolling.of_layer(layer);
    loads.push_back(std::llround(1e6 * std::accumulate(scores.begin(), scores.end(), 0.0)));
  }
  return loads;
}

SelectionRules selection_rules(const io::Hparams& hparams, std::int64_t width) {
  return {.layers = std::ssize(hparams.layers),
          .width = width,
          .ratio = hparams.anchor_ratio,
          .mass = hparams.anchor_mass,
          .balance = hparams.las_balance,
          .capacity = hparams.las_capacity,
          .constrained = hparams.las};
}

}  // namespace

BatchEditor::BatchEditor(Transformer& model, EditedWeights& weights, const PromptBuilder& prompts,
                         const io::Hparams& hparams, const Method& method, const io::StatisticsFile& statistics,
                         Contexts contexts, SinkLimits limits, const Communicators& ranks, SlabPlan slabs,
                         const std::optional<io::ProtectedKeys>& protected_keys, std::int64_t kept_groups)
    : model_(model),
      weights_(weights),
      prompts_(prompts),
      hparams_(hparams),
      method_(method),
      contexts_(std::move(contexts)),
      limits_(std::move(limits)),
      communicators_(ranks),
      group_size_(sharding::edits_per_group(hparams.group, hparams.contexts, model.step_arithmetic())),
      kept_groups_(kept_groups),
      solver_(weights, hparams, method_, statistics, ranks, model.stages, std::move(slabs), protected_keys),
      rolling_(std::ssize(hparams.layers), model.config.d_model, hparams.rar_decay,
               hparams.rar ? hparams.rar_strength : 0) {
  check_strategies(method_);
}

// Makes this replica's groups.
BatchEditor::Groups BatchEditor::make_groups(const DividedBatch& batch) const {
  const auto activity = communicators_.world.activity("contexts");
  return EditGroup::make(model_, prompts_, contexts_, limits_, hparams_, batch.own_groups());
}

void BatchEditor::find_values(Groups& groups, const DividedBatch& batch) const {
  sharding::BatchSeconds& seconds = batch.seconds();
  const auto activity = communicators_.world.activity("values");
  if (!selects_anchors(method_, hparams_)) {
    const Stopwatch watch(seconds.values);
    if (method_.values == ValueRule::every_layer) {
      EditGroup::find_joint_values(groups);
    } else {
      EditGroup::find_values(groups, method_.value_transform == ValueTransform::top_saliency);
    }
    return;
  }
  const std::int64_t layers = std::ssize(hparams_.layers), width = model_.config.d_model;
  std::vector<torch::Tensor> saliency{torch::empty({0, layers, width})};
  {
    const Stopwatch watch(seconds.values);
    EditGroup::locate_anchors(groups, kept_groups_);
    for (const EditGroup& group : groups) saliency.push_back(group.selecting_saliency().cpu());
  }
  torch::Tensor anchors;
  {
    const Stopwatch watch(seconds.communicate);
    anchors = select_anchors_over_ranks(at::cat(saliency), rolling_.factors(), selection_rules(hparams_, width),
                                        communicators_.host, batch.timeout());
  }
  const Stopwatch watch(seconds.values);
  EditGroup::compress_to_anchors(groups, anchors);
}

sharding::ValuesFound BatchEditor::values_found(const Groups& groups, const DividedBatch& batch) const {
  std::vector<torch::Tensor> own;
  for (const EditGroup& group : groups) own.push_back(group.value_losses());
  const auto losses = batch.gather_written(own, 2, "gather losses of values");
  if (losses.size(0) == 0) return {};
  const auto means = losses.to(torch::kDouble).mean(0).cpu();
  return {.nll = means[0].item<double>(), .match = means[1].item<double>()};
}

// Gathers the keys of all ranks' edits on the current weights: [b, f].
torch::Tensor BatchEditor::gather_keys(const Groups& groups, std::int64_t layer, const DividedBatch& batch) const {
  const auto activity = communicators_.world.activity("keys");
  std::vector<torch::Tensor> own;
  {
    const Stopwatch watch(batch.seconds().values);
    for (const EditGroup& group : groups) own.push_back(group.keys(layer));
  }
  return batch.gather_written(own, model_.config.d_ff, "gather keys");
}

// Writes as MEMIT does: one target per edit, and layer after layer writes its share of the remaining
// residual.
std::vector<LayerUpdate> BatchEditor::write_in_turn(const Groups& groups, const DividedBatch& batch,
                                                    double& target_norm) {
  const auto activity = communicators_.world.activity("write");
  const auto of_groups = [&](auto&& rows) {
    const Stopwatch watch(batch.seconds().values);
    const auto forward = communicators_.world.activity("keys");
    std::vector<torch::Tensor> own;
    for (const EditGroup& group : groups) own.push_back(rows(group));
    return own;
  };
  // The target of each edit: the residual stream before the batch is written, with the value added.
  auto targets = of_groups([](const EditGroup& group) { return group.target_stream(); });
  target_norm = mean_norm(targets, batch);
  if (hparams_.target_norm > 0) {
    for (torch::Tensor& target : targets) target *= hparams_.target_norm / target.norm(2, 1, /*keepdim=*/true);
  }
  std::vector<LayerUpdate> updates;
  const auto& layers = weights_.layers();
  for (std::size_t i = 0; i < layers.size(); ++i) {
    const auto keys = gather_keys(groups, layers[i], batch);
    std::size_t next = 0;
    const double layers_left = static_cast<double>(layers.size() - i);
    const auto residuals = batch.gather_written(of_groups([&](const EditGroup& group) {
                                                  const auto share =
                                                      (targets[next++] - group.residual_stream()) / layers_left;
                                                  const auto slopes = group.norm_slopes(layers[i]);
                                                  return slopes.defined() ? share * slopes.select(1, 1) : share;
                                                }),
                                                model_.config.d_model, "gather residuals");
    if (keys.size(0) == 0) break;
    updates.push_back({.layer = layers[i], .keys = keys, .residuals = residuals, .u = {}, .v = {}, .products = {}});
    solver_.solve(std::span(updates).last(1), batch.seconds());
    weights_.add(layers[i], updates.back().u, updates.back().v);
    absorb(updates.back());
  }
  return updates;
}

// Gathers what `rows` returns for all ranks' groups, for each edited layer: [b, width] each.
std::vector<torch::Tensor> BatchEditor::gather_of_each_layer(const OfEachLayer& rows, std::int64_t width,
                                                             std::string_view operation,
                                                             const DividedBatch& batch) const {
  const auto activity = communicators_.world.activity("keys");
  std::vector<std::vector<torch::Tensor>> own(weights_.layers().size());
  {
    const Stopwatch watch(batch.seconds().values);
    for (const std::vector<torch::Tensor>& of_layers : rows()) {
      for (std::size_t i = 0; i < own.size(); ++i) own[i].push_back(of_layers[i]);
    }
  }
  std::vector<torch::Tensor> all;
  for (const auto& layer : own) all.push_back(batch.gather_written(layer, width, operation));
  return all;
}

// Writes as B-EAC does: every layer writes its own vectors (joint_write.hpp).
std::vector<LayerUpdate> BatchEditor::write_jointly(Groups& groups, const DividedBatch& batch) {
  const auto activity = communicators_.world.activity("write");
  const auto gather_keys_of = [&](const OfEachLayer& keys) {
    return gather_of_each_layer(keys, model_.config.d_ff, "gather keys", batch);
  };
  const auto of_groups = [&](auto&& rows) {
    std::vector<std::vector<torch::Tensor>> all;
    for (const EditGroup& group : groups) all.push_back(rows(group));
    return all;
  };
  const auto injected = gather_keys_of([&] { return EditGroup::injected_keys(groups); });
  const auto values_of = [&] { return of_groups([](const EditGroup& group) { return group.values().unbind(1); }); };
  auto values = gather_of_each_layer(values_of, model_.config.d_model, "gather values", batch);
  if (values.front().size(0) == 0) return {};
  const JointWrite::Keys keys_now = {
      .of_layer = [&](std::int64_t layer) { return gather_keys(groups, layer, batch); },
      .of_all =
          [&] {
            return gather_keys_of([&] { return of_groups([](const EditGroup& group) { return group.keys(); }); });
          }};
  std::vector<torch::Tensor> slopes;
  if (model_.config.traits().has_post_norms()) {
    const std::int64_t d = model_.config.d_model;
    const auto slopes_of = [&](const EditGroup& group) {
      std::vector<torch::Tensor> of_layers;
      for (const std::int64_t layer : weights_.layers()) of_layers.push_back(group.norm_slopes(layer).flatten(1));
      return of_layers;
    };
    slopes = gather_of_each_layer([&] { return of_groups(slopes_of); }, 2 * d, "gather slopes of norms", batch);
    for (torch::Tensor& layer : slopes) layer = layer.unflatten(1, {2, d});
  }
  auto updates = JointWrite(weights_, solver_, std::move(values), keys_now, std::move(slopes), batch.seconds())
                     .run(injected, hparams_.correction_sweeps);
  for (LayerUpdate& update : updates) absorb(update);
  return updates;
}

void BatchEditor::absorb(LayerUpdate& update) {
  solver_.absorb(update);
  update.products = torch::Tensor();  // [f, b] f64 that nothing needs any more
}

std::vector<io::AnchorRecord> BatchEditor::refresh_anchors(const Groups& groups, const DividedBatch& batch,
                                                           std::int64_t written) {
  const auto activity = communicators_.world.activity("anchors");
  const std::int64_t layers = std::ssize(hparams_.layers), width = model_.config.d_model;
  std::vector<torch::Tensor> own{torch::empty({0, layers, width})};
  for (const EditGroup& group : groups) own.push_back(group.anchor_saliency().cpu());
  const auto saliency = at::cat(own).contiguous();
  AnchorScores scores(layers * width);
  const float* value = saliency.data_ptr<float>();
  for (std::int64_t edit = 0; edit < saliency.size(0); ++edit) {
    for (std::uint32_t entry = 0; entry < layers * width; ++entry, ++value) {
      if (*value > 0) scores.add(entry, *value);
    }
  }
  communicators_.host.all_reduce_sum(scores.sums(), "reduce anchor scores");
  const auto changes = rolling_.roll(scores, written);
  auto in_order_of_groups = gather_anchors(saliency, communicators_.host);
  if (communicators_.rank() != 0) return {};
  const auto chosen = batch.in_order_of_batch(std::move(in_order_of_groups));

  std::vector<io::AnchorRecord> records;
  for (std::int64_t layer = 0; layer < layers; ++layer) {
    const auto& change = changes[static_cast<std::size_t>(layer)];
    const auto rolling = rolling_.of_layer(layer);
    records.push_back({.layer = hparams_.layers[static_cast<std::size_t>(layer)],
                       .chosen = {},
                       .rolling = {rolling.begin(), rolling.end()},
                       .kept = change.kept,
                       .entered = change.entered,
                       .left = change.left});
    io::SparseRows& rows = records.back().chosen;
    for (const Candidates& edit : chosen) {
      for (std::size_t i = 0; i < edit.entries.size(); ++i) {
        if (edit.entries[i] / width != layer) continue;
        rows.indices.push_back(static_cast<std::int32_t>(edit.entries[i] % width));
        rows.values.push_back(edit.scores[i]);
      }
      rows.offsets.push_back(std::ssize(rows.indices));
    }
  }
  return records;
}

io::LayerNorms BatchEditor::norms_of(std::int64_t layer, const torch::Tensor& u, const torch::Tensor& v) const {
  torch::Tensor norms;
  if (model_.holds(layer)) {
    const io::LayerNorms own = weights_.norms(layer, u, v);
    norms = torch::tensor({own.update, own.total, own.base}, torch::kDouble).to(model_.device());
  }
  norms =
      model_.stages.broadcast(norms, model_.stages.stage_of(layer), {3}, torch::kDouble, "broadcast norms").cpu();
  return {.update = norms[0].item<double>(), .total = norms[1].item<double>(), .base = norms[2].item<double>()};
}

// Returns nll and match of each edit's bare prompt, on the current weights: [edits, 2] f64 on the CPU;
// io::not_measured and 0 for a prompt that cannot be scored.
torch::Tensor BatchEditor::scores(std::span<const io::Edit> edits, const DividedBatch& batch) const {
  const auto activity = communicators_.world.activity("score");
  std::vector<torch::Tensor> own{torch::empty({0, 2}, torch::TensorOptions(model_.device()).dtype(torch::kDouble))};
  {
    const Stopwatch watch(batch.seconds().evaluate);
    std::vector<PendingScores> pending;
    for (const auto& range : own_groups(communicators_, std::ssize(edits), group_size_))
      pending.push_back(score_bare_prompts(model_, prompts_, part_of(edits, range)));
    for (PendingScores& group : pending) group.finish();
    for (PendingScores& group : pending) own.push_back(table_of(group.take()).to(model_.device()));
  }
  const Stopwatch watch(batch.seconds().communicate);
  return gather_rows(model_, communicators_, own, std::ssize(edits), group_size_, "gather scores", batch.timeout());
}

BatchResult BatchEditor::apply(std::span<const io::Edit> edits) {
  const torch::NoGradGuard no_gradients;
  if (!rolling_before_) rolling_before_ = rolling_;
  BatchResult result;
  DividedBatch batch(communicators_, edits, group_size_, hparams_.merge_subjects, result.seconds);
  const auto before = scores(edits, batch);
  Groups groups = make_groups(batch);
  find_values(groups, batch);
  std::vector<std::string> own_refusals;
  for (const EditGroup& group : groups)
    own_refusals.insert(own_refusals.end(), group.refusals().begin(), group.refusals().end());
  batch.gather_refusals(own_refusals);
  result.values = values_found(groups, batch);
  result.layers = method_.solve == Solve::joint ? write_jointly(groups, batch)
                                                : write_in_turn(groups, batch, result.target_norm);
  model_.stages.deliver();
  if (communicators_.rank() == 0) {
    for (LayerUpdate& update : result.layers) update.norms = norms_of(update.layer, update.u, update.v);
  }
  if (selects_anchors(method_, hparams_) && !result.layers.empty())
    result.anchors = refresh_anchors(groups, batch, result.layers.front().keys.size(0));
  const auto after = scores(edits, batch);
  for (std::size_t i = 0; i < edits.size(); ++i) {
    const auto row = static_cast<std::int64_t>(i);
    result.edits.push_back({.refusal = batch.refusals()[i],
                            .nll_before = before[row][0].item<double>(),
                            .nll_after = after[row][0].item<double>(),
                            .match_before = before[row][1].item<double>() != 0,
                            .match_after = after[row][1].item<double>() != 0});
  }
  return result;
}

std::map<std::int64_t, std::int64_t> BatchEditor::null_spaces() const {
  if (method_.update_transform != UpdateTransform::null_space) return {};
  return solver_.free_dimensions();
}

void BatchEditor::replay(std::int64_t layer, const torch::Tensor& keys, const torch::Tensor& u,
                         const torch::Tensor& v) {
  weights_.replay(layer, u, v);
  solver_.replay(layer, {.keys = keys, .sign = 1});
}

std::vector<LayerRemoval> BatchEditor::remove(const sharding::Removal& removal, sharding::BatchSeconds& seconds) {
  const torch::NoGradGuard no_gradients;
  std::vector<LayerRemoval> removals = solver_.solve_removal(removal, seconds);
  for (LayerRemoval& one : removals) {
    weights_.add(one.layer, one.u, one.v);
    solver_.release(one);
    one.products = torch::Tensor();
    if (communicators_.rank() == 0) one.norms = norms_of(one.layer, one.u, one.v);
  }
  return removals;
}

void BatchEditor::replay_removal(std::int64_t layer, const torch::Tensor& keys, const torch::Tensor& u,
                                 const torch::Tensor& v) {
  weights_.replay(layer, u, v);
  solver_.replay(layer, {.keys = keys, .sign = -1});
}

void BatchEditor::replay_anchors(std::int64_t layer, std::span<const double> rolling) {
  const auto place = std::ranges::find(weights_.layers(), layer);
  io::check(place != weights_.layers().end(), "anchors of an edited layer");
  rolling_.restore(place - weights_.layers().begin(), rolling);
}

bool BatchEditor::accept() {
  weights_.accept();
  rolling_before_.reset();
  const bool drifted = solver_.accept();
  if (selects_anchors(method_, hparams_)) solver_.redeal(anchor_loads(rolling_, std::ssize(hparams_.layers)));
  return drifted;
}

void BatchEditor::discard() {
  weights_.discard();
  solver_.discard();
  if (rolling_before_) rolling_ = *std::exchange(rolling_before_, std::nullopt);
}

}  // namespace anchorage::worker
