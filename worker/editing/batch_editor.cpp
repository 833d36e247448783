#include "worker/editing/batch_editor.hpp"

#include <algorithm>
#include <cmath>
#include <nlohmann/json.hpp>

#include "io/error.hpp"
#include "sharding/layer_owners.hpp"
#include "worker/evaluation/score.hpp"
#include "worker/matrix_conversion.hpp"
#include "worker/stopwatch.hpp"

namespace anchorage::worker {
namespace {

// How many edits a group has when the user does not say: as many as fill the machine with one step's tokens. It
// follows from model and device alone, never from the number of ranks.
std::int64_t chosen_group_size(const io::Hparams& hparams, torch::Device device) {
  if (hparams.group > 0) return hparams.group;
  constexpr std::int64_t tokens_a_suffix =
      8;  // about what follows a subject: the rest of the prompt and the target
  const std::int64_t budget = device.is_cuda() ? 8192 : 128;
  return std::clamp<std::int64_t>(budget / (tokens_a_suffix * (hparams.contexts + 1)), 1, 128);
}

KeyMetric metric_of(const Method& method, const io::Hparams& hparams, const torch::Tensor& second_moment) {
  return method.null_space ? KeyMetric::from_null_space(second_moment, hparams.nullspace_threshold, hparams.L2)
                           : KeyMetric::from_second_moment(second_moment, hparams.mom2_update_weight);
}

// The bare prompts with their targets, scored: nll and match of each edit, [edits, 2] f64.
torch::Tensor score_bare_prompts(const Transformer& model, const PromptBuilder& prompts,
                                 std::span<const io::Edit> edits) {
  std::vector<Completion> completions;
  for (const io::Edit& edit : edits) {
    completions.push_back({prompts.prompt_ids(edit.filled_prompt()), prompts.target_ids(edit.target)});
  }
  std::vector<double> values;
  for (const CompletionScore& score : score_completions(model, completions)) {
    values.push_back(score.mean_nll());
    values.push_back(score.all_argmax() ? 1 : 0);
  }
  return torch::tensor(values, torch::kDouble).view({-1, 2});
}

// Refusals of all edits in their order, from the groups of all ranks.
std::vector<std::string> gather_refusals(const std::vector<EditGroup>& groups, sharding::HostCommunicator& ranks) {
  auto own = nlohmann::json::array();
  for (const EditGroup& group : groups) {
    for (const std::string& refusal : group.refusals()) own.push_back(refusal);
  }
  std::vector<std::string> all;
  const std::string text = own.dump();
  for (const auto& part : ranks.all_gather(std::as_bytes(std::span(text)), "gather refusals")) {
    const auto* begin = reinterpret_cast<const char*>(part.data());
    for (const auto& refusal : nlohmann::json::parse(begin, begin + part.size())) all.push_back(refusal);
  }
  return all;
}

}  // namespace

BatchEditor::BatchEditor(Transformer& model, EditedWeights& weights, const PromptBuilder& prompts,
                         const io::Hparams& hparams, Method method, const io::StatisticsFile& statistics,
                         Contexts contexts, SinkLimits limits, const Ranks& ranks)
    : model_(model),
      weights_(weights),
      prompts_(prompts),
      hparams_(hparams),
      method_(std::move(method)),
      contexts_(std::move(contexts)),
      limits_(std::move(limits)),
      ranks_(ranks),
      group_size_(chosen_group_size(hparams, model.device())) {
  const std::vector<std::int64_t> equal_costs(hparams.layers.size(), 1);
  const auto owners = sharding::layer_owners(equal_costs, ranks_.size());
  for (std::size_t i = 0; i < hparams.layers.size(); ++i) {
    const std::int64_t layer = hparams.layers[i];
    owners_[layer] = owners[i];
    if (owners[i] != ranks_.rank()) continue;
    const io::Matrix moment = statistics.moment(layer).moment;
    metrics_.emplace(layer, metric_of(method_, hparams_, to_tensor(moment).to(model_.device(), torch::kDouble)));
  }
}

// This rank's groups with their values found.
std::vector<EditGroup> BatchEditor::find_values(std::span<const io::Edit> edits, sharding::BatchSeconds& seconds) {
  const Stopwatch watch(seconds.values);
  std::vector<EditGroup> groups;
  for (const auto& range : own_groups(ranks_, std::ssize(edits), group_size_)) {
    const auto members = part_of(edits, range);
    groups.emplace_back(model_, prompts_, contexts_, limits_, hparams_,
                        std::vector(members.begin(), members.end()));
    groups.back().find_values(method_.anchored);
  }
  return groups;
}

// Rows of all ranks' groups, in the order of edits: [b, width].
torch::Tensor BatchEditor::gather(const std::vector<torch::Tensor>& own, std::int64_t width,
                                  std::string_view operation, sharding::BatchSeconds& seconds) {
  const Stopwatch watch(seconds.communicate);
  const auto rows = own.empty() ? torch::empty({0, width}, torch::TensorOptions(model_.device())) : at::cat(own);
  return ranks_.device.all_gather(rows, operation);
}

// The owner solves, everybody adds.
LayerUpdate BatchEditor::write_layer(std::int64_t layer, const torch::Tensor& keys, const torch::Tensor& residuals,
                                     sharding::BatchSeconds& seconds) {
  LayerUpdate update{.layer = layer,
                     .keys = keys,
                     .residuals = residuals,
                     .u = torch::empty({residuals.size(1), keys.size(0)}, keys.options()),
                     .v = torch::empty({keys.size(1), keys.size(0)}, keys.options())};
  if (owner(layer) == ranks_.rank()) {
    const Stopwatch watch(seconds.solve);
    auto& metric = metrics_.at(layer);
    const LowRankUpdate solution = metric.solve(keys.t(), residuals.t());
    update.u.copy_(solution.u);
    update.v.copy_(solution.v);
    if (method_.carries_keys) metric.absorb(keys.t());
  }
  {
    const Stopwatch watch(seconds.communicate);
    ranks_.device.broadcast(update.u, owner(layer), "broadcast update");
    ranks_.device.broadcast(update.v, owner(layer), "broadcast update");
  }
  weights_.add(layer, update.u, update.v);
  return update;
}

void BatchEditor::measure(LayerUpdate& update) const {
  const auto u = update.u.to(torch::kDouble), v = update.v.to(torch::kDouble);
  const double squared = (at::mm(u.t(), u) * at::mm(v.t(), v)).sum().item<double>();
  const auto base = weights_.base(update.layer);
  update.update_norm = std::sqrt(std::max(0.0, squared));
  update.total_norm = (weights_.master(update.layer) - base).to(torch::kDouble).norm().item<double>();
  update.base_norm = base.to(torch::kDouble).norm().item<double>();
}

BatchResult BatchEditor::apply(std::span<const io::Edit> edits) {
  const torch::NoGradGuard no_gradients;
  BatchResult result;
  auto& seconds = result.seconds;
  const auto share = own_groups(ranks_, std::ssize(edits), group_size_);
  const auto scored = [&] {
    std::vector<torch::Tensor> own;
    {
      const Stopwatch watch(seconds.evaluate);
      for (const auto& range : share) {
        own.push_back(score_bare_prompts(model_, prompts_, part_of(edits, range)).to(model_.device()));
      }
    }
    if (own.empty())
      own.push_back(torch::empty({0, 2}, torch::TensorOptions(model_.device()).dtype(torch::kDouble)));
    return gather(own, 2, "gather scores", seconds).cpu();
  };

  const auto before = scored();
  std::vector<EditGroup> groups;
  {
    const torch::AutoGradMode gradients(true);
    groups = find_values(edits, seconds);
  }
  const auto of_groups = [&](auto&& rows) {
    const Stopwatch watch(seconds.values);
    std::vector<torch::Tensor> own;
    for (const EditGroup& group : groups) own.push_back(rows(group));
    return own;
  };

  // The target of each edit: the residual stream as the unedited batch has it, with the value added.
  std::vector<torch::Tensor> targets = of_groups([](const EditGroup& group) {
    return group.accepted().empty() ? group.residual_stream()
                                    : group.residual_stream() + group.values().injected.select(1, 0);
  });
  const auto& layers = hparams_.layers;
  for (std::size_t i = 0; i < layers.size(); ++i) {
    const auto keys = gather(of_groups([&](const EditGroup& group) { return group.keys(layers[i]); }),
                             model_.config.d_ff, "gather keys", seconds);
    std::size_t next = 0;
    const double layers_left = static_cast<double>(layers.size() - i);
    const auto residuals = gather(of_groups([&](const EditGroup& group) {
                                    return (targets[next++] - group.residual_stream()) / layers_left;
                                  }),
                                  model_.config.d_model, "gather residuals", seconds);
    if (keys.size(0) == 0) break;
    result.layers.push_back(write_layer(layers[i], keys, residuals, seconds));
    if (ranks_.rank() == 0) measure(result.layers.back());
  }
  const auto after = scored();
  const auto refusals = gather_refusals(groups, ranks_.host);
  for (std::size_t i = 0; i < edits.size(); ++i) {
    const auto row = static_cast<std::int64_t>(i);
    result.edits.push_back({.refusal = refusals[i],
                            .nll_before = before[row][0].item<double>(),
                            .nll_after = after[row][0].item<double>(),
                            .match_before = before[row][1].item<double>() != 0,
                            .match_after = after[row][1].item<double>() != 0});
  }
  return result;
}

void BatchEditor::replay(std::int64_t layer, const torch::Tensor& keys, const torch::Tensor& u,
                         const torch::Tensor& v) {
  weights_.add(layer, u, v);
  if (method_.carries_keys && owner(layer) == ranks_.rank()) metrics_.at(layer).absorb(keys.t());
}

}  // namespace anchorage::worker
