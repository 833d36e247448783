#include "worker/editing/values/injected_forward.hpp"

#include <torch/utils.h>
#include <algorithm>

#include "io/error.hpp"
#include "worker/kernels/token_loss.hpp"
#include "worker/model/attention_before.hpp"

namespace anchorage::worker {

InjectedForward::InjectedForward(const Transformer& model, std::vector<EditPrompts> edits, InjectionOptions options)
    : model_(model), options_(std::move(options)), edits_(std::move(edits)) {
  io::check(!options_.layers.empty() && options_.loss_layer >= options_.layers.back(),
            "the loss lies after the injection");
  list_rows();
}

sharding::Range InjectedForward::own_slots() const {
  const auto slots_before = [this](int stage) {
    return std::ranges::count_if(options_.layers,
                                 [&](std::int64_t layer) { return model_.stages.stage_of(layer) < stage; });
  };
  return {slots_before(model_.stages.index()), slots_before(model_.stages.index() + 1)};
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

void InjectedForward::begin() {
  const torch::NoGradGuard no_gradients;
  std::vector<TokenIds> ids;
  for (const Row& row : rows_) ids.push_back(row.ids);
  whole_ = std::make_shared<const ForwardPass>(model_, lay_out(ids, {}, model_.device()));
  arriving_ = whole_->begin_below(options_.layers.front());
}

void InjectedForward::arrive() {
  const torch::NoGradGuard no_gradients;
  arriving_ = whole_->finish_below(options_.layers.front(), arriving_);
  arrived_ = true;
}

torch::Tensor InjectedForward::fill_caches(const torch::Tensor& entering) {
  const torch::NoGradGuard no_gradients;
  auto hidden = entering.defined() ? entering : arriving_;
  for (std::int64_t layer = options_.layers.front(); layer <= options_.loss_layer; ++layer) {
    if (model_.holds(layer)) hidden = cache_block(layer, hidden);
  }
  if (model_.stages.is_last()) cache_distribution(hidden);
  end_filling();
  return hidden;
}

void InjectedForward::fill_until(std::int64_t last_layer) {
  const torch::NoGradGuard no_gradients;
  if (!whole_) begin();
  if (!arrived_) arrive();
  auto hidden = arriving_;
  for (std::int64_t layer = options_.layers.front(); layer <= last_layer; ++layer) {
    if (layer > options_.layers.front()) hidden = whole_->enter(layer, hidden);
    if (model_.holds(layer)) hidden = cache_block(layer, hidden);
  }
  if (last_layer == options_.loss_layer) {
    hidden = whole_->to_last_stage(last_layer, hidden);
    if (model_.stages.is_last()) cache_distribution(hidden);
  }
  end_filling();
}

void InjectedForward::end_filling() {
  lay_out_suffixes();
  whole_.reset();
  arriving_.reset();
}

void InjectedForward::fill() {
  fill_until(options_.loss_layer);
}

void InjectedForward::drop_what_only_the_loss_needs() {
  const auto of_keys = static_cast<std::size_t>(options_.layers.back() - options_.layers.front());
  for (std::size_t i = of_keys; i < caches_.size(); ++i) caches_[i] = {};
  kl_before_.reset();
}

// Keeps of the first injected layer the residual stream that enters the suffixes, and its keys; of those above the
// attention before the subject's last token.
torch::Tensor InjectedForward::cache_block(std::int64_t layer, const torch::Tensor& hidden) {
  const BlockOutput output = whole_->block_here(layer, hidden);
  if (layer == options_.layers.front()) {
    cache_first(output);
  } else {
    std::vector<std::int64_t> lengths;
    for (const Row& row : rows_) lengths.push_back(row.subject_last);
    caches_.resize(static_cast<std::size_t>(options_.loss_layer - options_.layers.front()));
    caches_[static_cast<std::size_t>(layer - options_.layers.front() - 1)] =
        attention_before(output, whole_->layout(), lengths);
  }
  if (layer == options_.layers.back()) {
    std::vector<std::int64_t> first_subjects;
    std::int64_t edit_seen = -1;
    for (std::size_t r = 0; r < rows_.size(); ++r) {
      const auto row = static_cast<std::int64_t>(r);
      if (rows_[r].edit != edit_seen) first_subjects.push_back(whole_->layout().packed(row, rows_[r].subject_last));
      edit_seen = rows_[r].edit;
    }
    const auto& changed = output.down.defined() ? output.down : output.hidden;
    norms_ = changed.index_select(0, index_tensor(first_subjects, model_.device())).to(torch::kFloat).norm(2, -1);
  }
  return output.hidden;
}

void InjectedForward::cache_first(const BlockOutput& first) {
  std::vector<std::int64_t> suffix_tokens, subjects;
  for (std::size_t r = 0; r < rows_.size(); ++r) {
    const auto row = static_cast<std::int64_t>(r);
    const auto end = static_cast<std::int64_t>(rows_[r].ids.size());
    for (auto position = rows_[r].subject_last; position < end; ++position) {
      suffix_tokens.push_back(whole_->layout().packed(row, position));
    }
    subjects.push_back(whole_->layout().packed(row, rows_[r].subject_last));
  }
  const auto subject_index = index_tensor(subjects, model_.device());
  const auto at_subjects = [&](const torch::Tensor& tokens) {
    return tokens.defined() ? tokens.index_select(0, subject_index) : tokens;
  };
  first_ = {.hidden = first.hidden.index_select(0, index_tensor(suffix_tokens, model_.device())),
            .key = at_subjects(first.key),
            .attended = at_subjects(first.attended),
            .down = at_subjects(first.down)};
}

// The model's distribution p_0 after each KL prompt.
void InjectedForward::cache_distribution(const torch::Tensor& hidden) {
  std::vector<std::int64_t> kl_prompt_tokens;
  for (std::size_t r = 0; r < rows_.size(); ++r) {
    const auto end = static_cast<std::int64_t>(rows_[r].ids.size());
    if (rows_[r].kl_prompt)
      kl_prompt_tokens.push_back(whole_->layout().packed(static_cast<std::int64_t>(r), end - 1));
  }
  kl_before_ =
      next_token_log_probabilities(model_, hidden.index_select(0, index_tensor(kl_prompt_tokens, model_.device())));
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
  predicting.insert(predicting.end(), kl_prompts.begin(), kl_prompts.end());
  predictions_ = {.predicting = kernels::token_rows(predicting, layout.tokens(), device),
                  .target_ids = index_tensor(targets, device),
                  .target_weights = weights.to(device, loss_dtype()),
                  .row_edit = kernels::row_repeats(row_edit, edits(), device),
                  .subjects = kernels::token_rows(subjects, layout.tokens(), device),
                  .row_averages = row_averages.to(device)};
}

// `vectors` are those of this stage's slots.
torch::Tensor InjectedForward::inject(std::int64_t layer, const BlockOutput& output,
                                      const torch::Tensor& vectors) const {
  const auto place = std::ranges::find(options_.layers, layer);
  if (place == options_.layers.end()) return output.hidden;
  const auto of_slot = vectors.select(1, place - options_.layers.begin() - own_slots().begin);
  const auto of_rows = kernels::repeat_rows(predictions_.row_edit, of_slot);
  if (!output.down.defined()) return kernels::add_rows(predictions_.subjects, output.hidden, of_rows);
  return kernels::replace_rows(predictions_.subjects, output.hidden,
                               ForwardPass::hidden_of(model_, layer, output.attended, output.down + of_rows));
}

// What goes through a norm is narrowed to the subject's last token of each row.
BlockOutput InjectedForward::suffix_block(std::int64_t layer, const torch::Tensor& hidden) const {
  const auto& cache = caches_[static_cast<std::size_t>(layer - options_.layers.front() - 1)];
  BlockOutput output = suffixes_->block_here(layer, hidden, &cache);
  if (output.down.defined()) {
    output.attended = kernels::take_rows(predictions_.subjects, output.attended);
    output.down = kernels::take_rows(predictions_.subjects, output.down);
  }
  return output;
}

torch::Tensor InjectedForward::forward(const torch::Tensor& entering, const torch::Tensor& vectors) const {
  const auto in_dtype = vectors.to(model_.dtype());
  const std::int64_t first = options_.layers.front();
  auto hidden = entering;
  if (model_.holds(first)) hidden = inject(first, first_, in_dtype);
  for (std::int64_t layer = first + 1; layer <= options_.loss_layer; ++layer) {
    if (model_.holds(layer)) hidden = inject(layer, suffix_block(layer, hidden), in_dtype);
  }
  return hidden;
}

double InjectedForward::product_flops() const {
  double flops = 0;
  for (std::int64_t layer = options_.layers.front() + 1; layer <= options_.loss_layer; ++layer) {
    if (model_.holds(layer)) flops += 2.0 * static_cast<double>(tokens() * model_.block(layer).matrix_entries());
  }
  if (!model_.stages.is_last()) return flops;
  const std::int64_t predicting = predictions_.predicting.taken.size(0);
  return flops + 2.0 * static_cast<double>(predicting * model_.head.numel());
}

std::vector<torch::Tensor> InjectedForward::subject_keys(const torch::Tensor& injected) {
  const torch::NoGradGuard no_gradients;
  const auto mean_over_contexts = [&](const torch::Tensor& rows) {
    return at::mm(predictions_.row_averages, rows.to(torch::kFloat));
  };
  const std::int64_t first = options_.layers.front();
  if (!suffixes_) fill_until(options_.layers.back());
  const auto own = own_slots();
  const auto in_dtype = injected.narrow(1, own.begin, own.size()).to(model_.dtype());
  std::vector<torch::Tensor> keys(options_.layers.size());
  torch::Tensor hidden;
  if (model_.holds(first)) {
    keys.front() = mean_over_contexts(first_.key);
    hidden = inject(first, first_, in_dtype);
  }
  for (std::int64_t layer = first + 1; layer <= options_.layers.back(); ++layer) {
    hidden = suffixes_->enter(layer, hidden);
    if (!model_.holds(layer)) continue;
    const BlockOutput output = suffix_block(layer, hidden);
    const auto place = std::ranges::find(options_.layers, layer);
    if (place != options_.layers.end())
      keys[static_cast<std::size_t>(place - options_.layers.begin())] =
          mean_over_contexts(output.key.index_select(0, predictions_.subjects.taken));
    hidden = inject(layer, output, in_dtype);
  }
  return model_.stages.broadcast_layers(options_.layers, std::move(keys), {edits(), model_.config.d_ff},
                                        torch::kFloat, "broadcast injected keys");
}

InjectedLoss InjectedForward::loss_of(const torch::Tensor& hidden) const {
  const auto logits = next_token_logits(model_, kernels::take_rows(predictions_.predicting, hidden));
  const auto losses = kernels::token_losses({predictions_.target_ids, kl_before_}, logits, model_.forms.loss);
  const auto missed = losses.missed.to(predictions_.target_weights.scalar_type());
  return {.nll = at::mv(predictions_.target_weights, losses.nll),
          .kl = losses.kl,
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
  narrow_to(first_.hidden, index_tensor(kept_tokens, model_.device()));
  narrow_to(kl_before_, edit_index);
  for (torch::Tensor* at_subjects : {&first_.key, &first_.attended, &first_.down})
    narrow_to(*at_subjects, row_index);
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
