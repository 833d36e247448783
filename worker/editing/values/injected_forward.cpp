#include "worker/editing/values/injected_forward.hpp"

#include <torch/utils.h>
#include <algorithm>
#include <numeric>

#include "io/error.hpp"

namespace anchorage::worker {
namespace {

torch::Tensor index_tensor(const std::vector<std::int64_t>& values, torch::Device device) {
  return torch::tensor(values, torch::kInt64).to(device);
}

// Returns the first `lengths[r]` packed attention vectors [tokens, G, e] of each row as [rows, past, G, e],
// padded with zeros.
torch::Tensor prefixes(const torch::Tensor& packed, const TokenLayout& whole, std::span<const std::int64_t> lengths,
                       std::int64_t past) {
  std::vector<std::int64_t> from, to;
  for (std::int64_t row = 0; row < whole.rows; ++row) {
    for (std::int64_t position = 0; position < lengths[static_cast<std::size_t>(row)]; ++position) {
      from.push_back(whole.packed(row, position));
      to.push_back(row * past + position);
    }
  }
  auto padded = torch::zeros({whole.rows * past, packed.size(1), packed.size(2)}, packed.options());
  padded.index_copy_(0, index_tensor(to, packed.device()),
                     packed.index_select(0, index_tensor(from, packed.device())));
  return padded.view({whole.rows, past, packed.size(1), packed.size(2)});
}

}  // namespace

InjectedForward::InjectedForward(const Transformer& model, std::vector<EditPrompts> edits, InjectionOptions options)
    : model_(model), options_(std::move(options)), edits_(std::move(edits)) {
  io::check(!options_.layers.empty() && options_.loss_layer >= options_.layers.back(),
            "the loss lies after the injection");
  list_rows();
  cache_prefixes();
  lay_out_suffixes();
}

void InjectedForward::list_rows() {
  rows_.clear();
  for (std::int64_t edit = 0; edit < edits(); ++edit) {
    const auto& prompts = edits_[static_cast<std::size_t>(edit)];
    for (const PromptRow& rewrite : prompts.rewrites) {
      rows_.push_back({edit, rewrite.ids, rewrite.subject_last, rewrite.predicts_from, false});
    }
    rows_.push_back(
        {edit, prompts.kl_prompt.ids, prompts.kl_prompt.subject_last, prompts.kl_prompt.predicts_from, true});
  }
}

// Runs the one pass over whole rows: fills the attention caches before the subject's last token, the residual
// stream that enters the suffixes, and the model's distribution p_0 after each KL prompt.
void InjectedForward::cache_prefixes() {
  const torch::NoGradGuard no_gradients;
  std::vector<TokenIds> ids;
  std::vector<std::int64_t> lengths;
  std::int64_t past = 0;
  for (const Row& row : rows_) {
    ids.push_back(row.ids);
    lengths.push_back(row.subject_last);
    past = std::max(past, row.subject_last);
  }
  const ForwardPass whole(model_, lay_out(ids, {}, model_.device()));
  const BlockOutput first =
      whole.block(options_.layers.front(), whole.blocks(0, options_.layers.front(), whole.embed()));
  auto hidden = first.hidden;

  std::vector<std::int64_t> suffix_tokens, kl_prompt_tokens, subjects, first_subjects;
  std::int64_t edit_seen = -1;
  for (std::size_t r = 0; r < rows_.size(); ++r) {
    const auto row = static_cast<std::int64_t>(r);
    const auto end = static_cast<std::int64_t>(rows_[r].ids.size());
    for (auto position = rows_[r].subject_last; position < end; ++position) {
      suffix_tokens.push_back(whole.layout().packed(row, position));
    }
    if (rows_[r].kl_prompt) kl_prompt_tokens.push_back(whole.layout().packed(row, end - 1));
    subjects.push_back(whole.layout().packed(row, rows_[r].subject_last));
    if (rows_[r].edit != edit_seen) first_subjects.push_back(subjects.back());
    edit_seen = rows_[r].edit;
  }
  if (model_.holds(options_.layers.front())) {
    after_first_ = hidden.index_select(0, index_tensor(suffix_tokens, model_.device()));
    first_keys_ = first.key.index_select(0, index_tensor(subjects, model_.device()));
  }

  const auto note_norms = [&](std::int64_t layer) {
    if (layer != options_.layers.back() || !model_.holds(layer)) return;
    norms_ = hidden.index_select(0, index_tensor(first_subjects, model_.device())).to(torch::kFloat).norm(2, -1);
  };
  note_norms(options_.layers.front());
  for (std::int64_t layer = options_.layers.front() + 1; layer <= options_.loss_layer; ++layer) {
    const BlockOutput output = whole.block(layer, hidden);
    hidden = output.hidden;
    caches_.emplace_back();
    if (!model_.holds(layer)) continue;
    caches_.back() = {prefixes(output.attention_keys, whole.layout(), lengths, past),
                      prefixes(output.attention_values, whole.layout(), lengths, past)};
    note_norms(layer);
  }
  hidden = whole.to_last_stage(options_.loss_layer, hidden);
  if (!model_.stages.is_last()) return;
  kl_before_ =
      next_token_log_probabilities(model_, hidden.index_select(0, index_tensor(kl_prompt_tokens, model_.device())));
}

void InjectedForward::share_norms(std::span<InjectedForward* const> groups) {
  const InjectedForward& first = *groups.front();
  const Stages& stages = first.model_.stages;
  const int from = stages.stage_of(first.options_.layers.back());
  std::vector<torch::Tensor> norms;
  std::vector<std::int64_t> edits;
  for (const InjectedForward* group : groups) {
    if (stages.index() == from) norms.push_back(group->norms_);
    edits.push_back(group->edits());
  }
  const auto shared = stages
                          .broadcast_from(first.first_stage(), norms.empty() ? torch::Tensor() : at::cat(norms),
                                          from, {std::accumulate(edits.begin(), edits.end(), std::int64_t{0})},
                                          torch::kFloat, "broadcast norms at subjects")
                          .split_with_sizes(edits);
  for (std::size_t i = 0; i < groups.size(); ++i) groups[i]->norms_ = shared[i];
}

void InjectedForward::lay_out_suffixes() {
  std::vector<TokenIds> ids;
  std::vector<std::int64_t> first, row_edit, subjects, predicting, targets, kl_prompts, target_edit;
  for (const Row& row : rows_) {
    ids.push_back(row.ids);
    first.push_back(row.subject_last);
  }
  suffixes_ = std::make_shared<const ForwardPass>(model_, lay_out(ids, first, model_.device()));
  const TokenLayout& layout = suffixes_->layout();
  std::vector<double> share;
  auto row_averages = torch::zeros({edits(), std::ssize(rows_)});
  for (std::size_t r = 0; r < rows_.size(); ++r) {
    const auto row = static_cast<std::int64_t>(r);
    const auto& prompts = edits_[static_cast<std::size_t>(rows_[r].edit)];
    row_edit.push_back(rows_[r].edit);
    subjects.push_back(layout.packed(row, rows_[r].subject_last));
    if (rows_[r].kl_prompt) {
      kl_prompts.push_back(layout.packed(row, rows_[r].predicts_from));
      continue;
    }
    row_averages[rows_[r].edit][row] = 1.0F / static_cast<float>(prompts.rewrites.size());
    for (std::size_t t = 0; t < prompts.target.size(); ++t) {
      predicting.push_back(layout.packed(row, rows_[r].predicts_from + static_cast<std::int64_t>(t)));
      targets.push_back(prompts.target[t]);
      target_edit.push_back(rows_[r].edit);
      share.push_back(1.0 / static_cast<double>(prompts.target.size() * prompts.rewrites.size()));
    }
  }
  auto weights = torch::zeros({edits(), static_cast<std::int64_t>(targets.size())}, torch::kDouble);
  for (std::size_t i = 0; i < targets.size(); ++i) weights[target_edit[i]][static_cast<std::int64_t>(i)] = share[i];
  const torch::Device device = model_.device();
  predictions_ = {.target_index = index_tensor(predicting, device),
                  .target_ids = index_tensor(targets, device),
                  .target_weights = weights.to(device, loss_dtype()),
                  .kl_index = index_tensor(kl_prompts, device),
                  .row_edit = index_tensor(row_edit, device),
                  .subject_index = index_tensor(subjects, device),
                  .row_averages = row_averages.to(device)};
}

torch::Tensor InjectedForward::hidden_after(std::int64_t last_layer, const torch::Tensor& injected,
                                            const Capture& capture) const {
  const auto in_dtype = injected.to(model_.dtype());
  const auto inject = [&](const torch::Tensor& hidden, std::int64_t slot) {
    if (!model_.holds(options_.layers[static_cast<std::size_t>(slot)])) return hidden;
    const auto vectors = in_dtype.select(1, slot).index_select(0, predictions_.row_edit);
    return hidden.index_add(0, predictions_.subject_index, vectors);
  };
  auto hidden = inject(after_first_, 0);
  std::int64_t slot = 1;
  for (std::int64_t layer = options_.layers.front() + 1; layer <= last_layer; ++layer) {
    const auto& cache = caches_[static_cast<std::size_t>(layer - options_.layers.front() - 1)];
    const BlockOutput output = suffixes_->block(layer, hidden, &cache);
    if (capture && model_.holds(layer)) capture(layer, output);
    hidden = output.hidden;
    if (slot < std::ssize(options_.layers) && options_.layers[static_cast<std::size_t>(slot)] == layer) {
      hidden = inject(hidden, slot++);
    }
  }
  return hidden;
}

std::vector<torch::Tensor> InjectedForward::subject_keys(const torch::Tensor& injected) const {
  const torch::NoGradGuard no_gradients;
  const auto mean_over_contexts = [&](const torch::Tensor& rows) {
    return at::mm(predictions_.row_averages, rows.to(torch::kFloat));
  };
  std::vector<torch::Tensor> keys(options_.layers.size());
  if (first_keys_.defined()) keys.front() = mean_over_contexts(first_keys_);
  hidden_after(options_.layers.back(), injected, [&](std::int64_t layer, const BlockOutput& output) {
    const auto place = std::ranges::find(options_.layers, layer);
    if (place == options_.layers.end()) return;
    keys[static_cast<std::size_t>(place - options_.layers.begin())] =
        mean_over_contexts(output.key.index_select(0, predictions_.subject_index));
  });
  return model_.stages.broadcast_layers_from(0, options_.layers, std::move(keys), {edits(), model_.config.d_ff},
                                             torch::kFloat, "broadcast injected keys");
}

InjectedLoss InjectedForward::loss(const torch::Tensor& injected) const {
  const auto hidden = suffixes_->to_last_stage(options_.loss_layer, hidden_after(options_.loss_layer, injected));
  if (!model_.stages.is_last()) return {.nll = hidden, .kl = {}, .matches = {}};
  const std::int64_t predicted = predictions_.target_index.size(0);
  const auto index = at::cat({predictions_.target_index, predictions_.kl_index});
  const auto log_probabilities = next_token_log_probabilities(model_, hidden.index_select(0, index));
  const auto of_targets = log_probabilities.narrow(0, 0, predicted);
  const auto of_kl_prompts = log_probabilities.narrow(0, predicted, edits());

  const auto token_nll = -of_targets.gather(1, predictions_.target_ids.unsqueeze(1));
  const auto missed =
      of_targets.detach().argmax(-1).ne(predictions_.target_ids).to(predictions_.target_weights.scalar_type());
  return {.nll = at::mv(predictions_.target_weights, token_nll.squeeze(1)),
          .kl = (kl_before_.exp() * (kl_before_ - of_kl_prompts)).sum(-1),
          .matches = at::mv(predictions_.target_weights, missed).eq(0)};
}

void InjectedForward::keep(std::span<const std::int64_t> kept) {
  std::vector<std::int64_t> kept_rows, kept_tokens;
  std::vector<EditPrompts> remaining;
  for (const std::int64_t edit : kept) remaining.push_back(edits_[static_cast<std::size_t>(edit)]);
  const TokenLayout& layout = suffixes_->layout();
  for (std::size_t r = 0; r < rows_.size(); ++r) {
    if (!std::ranges::count(kept, rows_[r].edit)) continue;
    kept_rows.push_back(static_cast<std::int64_t>(r));
    for (auto token = layout.row_begin[r]; token < layout.row_begin[r + 1]; ++token) kept_tokens.push_back(token);
  }
  const auto edit_index = index_tensor({kept.begin(), kept.end()}, model_.device());
  const auto row_index = index_tensor(kept_rows, model_.device());
  edits_ = std::move(remaining);
  const auto narrow_to = [](torch::Tensor& tensor, const torch::Tensor& index) {
    if (tensor.defined()) tensor = tensor.index_select(0, index);
  };
  narrow_to(after_first_, index_tensor(kept_tokens, model_.device()));
  narrow_to(kl_before_, edit_index);
  narrow_to(first_keys_, row_index);
  narrow_to(norms_, edit_index);
  list_rows();
  lay_out_suffixes();
  for (AttentionCache& cache : caches_) {
    if (!cache.keys.defined()) continue;
    const std::int64_t past = suffixes_->layout().past;
    cache.keys = cache.keys.index_select(0, row_index).narrow(1, 0, past);
    cache.values = cache.values.index_select(0, row_index).narrow(1, 0, past);
  }
}

}  // namespace anchorage::worker
