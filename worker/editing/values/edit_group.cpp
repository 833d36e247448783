#include "worker/editing/values/edit_group.hpp"

#include <algorithm>
#include <utility>

#include "io/error.hpp"

namespace anchorage::worker {

namespace {

TargetEnd target_end_of(const Transformer& model, const io::Hparams& hparams) {
  TargetEnd end{.token = {}, .by_default = hparams.target_end};
  if (!model.config.eos_ids.empty()) end.token = static_cast<std::int32_t>(model.config.eos_ids.front());
  return end;
}

}  // namespace

EditGroup::EditGroup(const Transformer& model, const io::Hparams& hparams, std::vector<io::Edit> edits)
    : model_(model),
      hparams_(hparams),
      layers_(hparams.layers.begin(), hparams.layers.end()),
      edits_(std::move(edits)) {}

std::vector<EditGroup> EditGroup::make(const Transformer& model, const PromptBuilder& builder,
                                       const Contexts& contexts, const SinkLimits& limits,
                                       const io::Hparams& hparams, std::vector<std::vector<io::Edit>> edits) {
  const PromptBuilder ending = builder.with_target_end(target_end_of(model, hparams));
  std::vector<EditGroup> groups;
  std::vector<ContextChoice> choices;
  for (std::vector<io::Edit>& of_group : edits) groups.push_back(EditGroup(model, hparams, std::move(of_group)));
  for (const EditGroup& group : groups)
    choices.emplace_back(model, ending, contexts, limits, group.layers_, group.edits_);
  for (ContextChoice& choice : choices) choice.arrive();
  for (ContextChoice& choice : choices) choice.compute();
  for (ContextChoice& choice : choices) choice.choose();
  for (ContextChoice& choice : choices) choice.arrive();
  for (ContextChoice& choice : choices) choice.compute();
  for (ContextChoice& choice : choices) choice.settle();
  for (std::size_t i = 0; i < groups.size(); ++i) {
    auto chosen = choices[i].take();
    groups[i].refusals_ = std::move(chosen.refusals);
    groups[i].accepted_ = std::move(chosen.accepted);
    groups[i].prompts_ = std::move(chosen.prompts);
    groups[i].subjects_ = std::move(chosen.activations);
    groups[i].average_over_contexts();
  }
  model.stages.deliver();
  return groups;
}

void EditGroup::average_over_contexts() {
  std::int64_t rows = 0;
  for (const EditPrompts& edit : prompts_) rows += std::ssize(edit.rewrites);
  auto averages = torch::zeros({std::ssize(accepted_), rows});
  std::int64_t row = 0;
  for (std::int64_t edit = 0; edit < std::ssize(prompts_); ++edit) {
    const std::int64_t contexts = std::ssize(prompts_[static_cast<std::size_t>(edit)].rewrites);
    averages[edit].narrow(0, row, contexts).fill_(1.0 / static_cast<double>(contexts));
    row += contexts;
  }
  averages_ = averages.to(model_.device());
}

InjectedForward EditGroup::forward_with(std::vector<std::int64_t> injected_layers) const {
  return {model_, prompts_, {.layers = std::move(injected_layers), .loss_layer = hparams_.v_loss_layer.value()}};
}

std::vector<EditGroup*> EditGroup::those_with_edits(GroupSpan groups) {
  std::vector<EditGroup*> some;
  for (EditGroup& group : groups) {
    if (!group.accepted_.empty()) some.push_back(&group);
  }
  return some;
}

std::vector<InjectedForward> EditGroup::joint_forwards(const std::vector<EditGroup*>& groups) {
  std::vector<InjectedForward> forwards;
  for (const EditGroup* group : groups) forwards.push_back(group->forward_with(group->layers_));
  return forwards;
}

void EditGroup::take(const std::vector<EditGroup*>& groups, std::vector<FoundValues> found) {
  for (std::size_t i = 0; i < groups.size(); ++i) {
    groups[i]->values_ = std::move(found[i].values);
    groups[i]->losses_ = std::move(found[i].losses);
    groups[i]->refuse_what_is_not_finite();
  }
}

void EditGroup::find_values(GroupSpan groups, bool anchored) {
  const auto some = those_with_edits(groups);
  if (some.empty()) return;
  const io::Hparams& hparams = some.front()->hparams_;
  std::vector<InjectedForward> forwards;
  for (const EditGroup* group : some) forwards.push_back(group->forward_with({group->layers_.back()}));
  take(some, anchored ? optimize_anchored_values(std::move(forwards), hparams)
                      : optimize_values(std::move(forwards), hparams));
}

void EditGroup::find_joint_values(GroupSpan groups) {
  const auto some = those_with_edits(groups);
  if (!some.empty()) take(some, optimize_values(joint_forwards(some), some.front()->hparams_));
}

void EditGroup::locate_anchors(GroupSpan groups, std::int64_t kept) {
  for (EditGroup& group : groups) {
    group.saliency_ =
        torch::zeros({std::ssize(group.accepted_), std::ssize(group.layers_), group.model_.config.d_model});
  }
  const auto some = those_with_edits(groups);
  if (some.empty()) return;
  auto located = worker::locate_anchors(joint_forwards(some), some.front()->hparams_, kept);
  for (std::size_t i = 0; i < some.size(); ++i) {
    const auto sums = located[i].saliency.flatten(1).sum(1).clamp_min(1e-30).view({-1, 1, 1});
    some[i]->saliency_ = located[i].saliency / sums;
    some[i]->located_ = std::move(located[i]);
  }
}

void EditGroup::compress_to_anchors(GroupSpan groups, const torch::Tensor& anchors) {
  std::int64_t begin = 0;
  for (EditGroup& group : groups) {
    const std::int64_t count = std::ssize(group.accepted_);
    group.anchors_ = group.shared_values().first_of(anchors.narrow(0, begin, count).to(group.saliency_.device()));
    begin += count;
  }
  const auto some = those_with_edits(groups);
  if (some.empty()) return;
  std::vector<LocatedValues> located;
  std::vector<InjectedForward> forwards;
  std::vector<torch::Tensor> own_anchors;
  for (EditGroup* group : some) {
    located.push_back(std::exchange(group->located_, {}));
    own_anchors.push_back(group->anchors_);
    const auto kept = std::exchange(located.back().forward, nullptr);
    forwards.push_back(kept ? *kept : group->forward_with(group->layers_));
    if (!kept) continue;
    group->of_keys_ = std::make_unique<InjectedForward>(*kept);  // edits leave the other one
    group->of_keys_->drop_what_only_the_loss_needs();
  }
  take(some, worker::compress_to_anchors(std::move(forwards), some.front()->hparams_, located, own_anchors));
}

SharedValues EditGroup::shared_values() const {
  return {prompts_, hparams_, saliency_.device()};
}

void EditGroup::refuse_what_is_not_finite() {
  const auto finite = values_.flatten(1).isfinite().all(1).cpu();
  if (finite.all().item<bool>()) return;
  std::vector<std::int64_t> kept;
  for (std::int64_t i = 0; i < std::ssize(accepted_); ++i) {
    if (finite[i].item<bool>()) {
      kept.push_back(i);
    } else {
      refusals_[static_cast<std::size_t>(accepted_[static_cast<std::size_t>(i)])] =
          "its value vector is not finite";
    }
  }
  const auto index = index_tensor(kept, model_.device());
  values_ = values_.index_select(0, index);
  losses_ = losses_.index_select(0, index);
  if (saliency_.defined()) saliency_ = saliency_.index_select(0, index);
  if (anchors_.defined()) anchors_ = anchors_.index_select(0, index);
  std::vector<EditPrompts> prompts;
  std::vector<std::int64_t> accepted, rows;
  std::int64_t row = 0;
  for (std::int64_t i = 0; i < std::ssize(prompts_); ++i) {
    EditPrompts& of_edit = prompts_[static_cast<std::size_t>(i)];
    const bool is_kept = std::ranges::count(kept, i) > 0;
    for (std::size_t context = 0; context < of_edit.rewrites.size(); ++context, ++row) {
      if (is_kept) rows.push_back(row);
    }
    if (!is_kept) continue;
    prompts.push_back(std::move(of_edit));
    accepted.push_back(accepted_[static_cast<std::size_t>(i)]);
  }
  subjects_ = subjects_->of_rows(rows);
  prompts_ = std::move(prompts);
  accepted_ = std::move(accepted);
  average_over_contexts();
  of_keys_.reset();  // it has the refused edits too
}

torch::Tensor EditGroup::anchor_saliency() const {
  return saliency_ * anchors_;
}

torch::Tensor EditGroup::selecting_saliency() const {
  return shared_values().once(saliency_);
}

torch::Tensor EditGroup::values() const {
  const auto layers = std::ssize(layers_);
  if (accepted_.empty())
    return torch::empty({0, layers, model_.config.d_model}, torch::TensorOptions(model_.device()));
  return values_;
}

torch::Tensor EditGroup::value_losses() const {
  return accepted_.empty() ? torch::empty({0, 2}, torch::TensorOptions(model_.device())) : losses_;
}

std::vector<std::vector<torch::Tensor>> EditGroup::injected_keys(GroupSpan groups) {
  std::vector<InjectedForward*> to_fill;
  for (EditGroup& group : groups) {
    if (group.accepted_.empty() || group.of_keys_) continue;
    group.of_keys_ = std::make_unique<InjectedForward>(group.forward_with(group.layers_));
    to_fill.push_back(group.of_keys_.get());
  }
  if (!groups.empty() && groups.front().model_.stages.count() > 1) {
    for (InjectedForward* forward : to_fill) forward->begin();
    for (InjectedForward* forward : to_fill) forward->arrive();
  }
  std::vector<std::vector<torch::Tensor>> keys;
  for (EditGroup& group : groups) {
    keys.push_back(group.of_keys_ ? group.of_keys_->subject_keys(group.values_) : group.keys());
    group.of_keys_.reset();
  }
  return keys;
}

torch::Tensor EditGroup::mean_over_contexts(const torch::Tensor& rows) const {
  return at::mm(averages_, rows.to(torch::kFloat));
}

torch::Tensor EditGroup::keys(std::int64_t layer) const {
  if (accepted_.empty()) return torch::empty({0, model_.config.d_ff}, torch::TensorOptions(model_.device()));
  return mean_over_contexts(subjects_->keys(layer));
}

std::vector<torch::Tensor> EditGroup::keys() const {
  if (accepted_.empty()) return {layers_.size(), keys(layers_.front())};
  std::vector<torch::Tensor> keys;
  for (const torch::Tensor& rows : subjects_->keys()) keys.push_back(mean_over_contexts(rows));
  return keys;
}

torch::Tensor EditGroup::residual_stream() const {
  if (accepted_.empty()) return torch::empty({0, model_.config.d_model}, torch::TensorOptions(model_.device()));
  return mean_over_contexts(subjects_->residual_stream());
}

torch::Tensor EditGroup::target_stream() const {
  // Without a norm the value is added to the average itself, without rounding to the model's dtype.
  const auto value = values().select(1, 0);
  if (accepted_.empty() || !model_.config.traits().has_post_norms()) return residual_stream() + value;
  return mean_over_contexts(subjects_->residual_stream(value.index_select(0, averages_.argmax(0))));
}

torch::Tensor EditGroup::norm_slopes(std::int64_t layer) const {
  if (!model_.config.traits().has_post_norms()) return {};
  const std::int64_t d = model_.config.d_model;
  if (accepted_.empty()) return torch::empty({0, 2, d}, torch::TensorOptions(model_.device()));
  return mean_over_contexts(subjects_->norm_slopes(layer).flatten(1)).unflatten(1, {2, d});
}

}  // namespace anchorage::worker
