#include "worker/editing/values/context_choice.hpp"

#include <fmt/format.h>

#include <algorithm>
#include <utility>

namespace anchorage::worker {

ContextChoice::ContextChoice(const Transformer& model, const PromptBuilder& builder, const Contexts& contexts,
                             const SinkLimits& limits, std::span<const std::int64_t> layers,
                             std::span<const io::Edit> edits)
    : model_(model),
      builder_(builder),
      contexts_(contexts),
      limits_(limits),
      layers_(layers),
      edits_(edits),
      refusals_(edits.size()) {
  for (const io::Edit& edit : edits_)
    candidates_.push_back(builder.build(edit, contexts.prefixes, "", model.config.max_positions));
  std::vector<TriedRow> tried;
  for (std::size_t edit = 0; edit < edits_.size(); ++edit) {
    EditPrompts& prompts = candidates_[edit];
    if (std::ranges::none_of(prompts.rewrites, &PromptRow::is_usable)) continue;
    for (PromptRow& row : prompts.rewrites) tried.push_back({&row, edit});
    tried.push_back({&prompts.kl_prompt, edit});
  }
  try_rows(std::move(tried));
}

void ContextChoice::try_rows(std::vector<TriedRow> tried) {
  std::erase_if(tried, [](const TriedRow& one) { return !one.row->is_usable(); });
  tried_ = std::move(tried);
  activations_.reset();
  if (tried_.empty()) return;
  std::vector<PromptRow> rows;
  for (const TriedRow& one : tried_) rows.push_back(*one.row);
  activations_ = std::make_unique<SubjectActivations>(model_, rows, layers_);
}

void ContextChoice::arrive() {
  if (activations_) activations_->arrive();
}

void ContextChoice::compute() {
  if (activations_) activations_->compute_residual_norms();
}

void ContextChoice::reject_attention_sinks() {
  if (!activations_) return;
  const auto norms = activations_->residual_norms();
  const torch::Tensor passes = norms.le(limits_.to(norms.device())).all(1).cpu();
  for (std::size_t i = 0; i < tried_.size(); ++i) {
    if (passes.data_ptr<bool>()[i]) continue;
    tried_[i].row->rejection = fmt::format(
        "the last token of its subject '{}' is an attention sink in every context", edits_[tried_[i].edit].subject);
  }
}

// A KL prompt that cannot be used bare moves after the prefix of the edit's last context, or else after the first
// prefix with which it can be used.
void ContextChoice::choose() {
  reject_attention_sinks();
  moved_.resize(edits_.size());
  std::vector<TriedRow> tried;
  std::vector<const PromptRow*> used;  // of all edits
  for (std::size_t edit = 0; edit < edits_.size(); ++edit) {
    const std::vector<PromptRow>& rewrites = candidates_[edit].rewrites;
    chosen_.push_back({.rewrites = {},
                       .kl_prompt = candidates_[edit].kl_prompt,
                       .target = candidates_[edit].target,
                       .subject = candidates_[edit].subject});
    std::size_t last_used = 0;
    for (std::size_t i = 0; i < rewrites.size() && chosen_[edit].rewrites.size() < contexts_.wanted; ++i) {
      if (!rewrites[i].is_usable()) continue;
      chosen_[edit].rewrites.push_back(rewrites[i]);
      used.push_back(&rewrites[i]);
      last_used = i;
    }
    // Where no context can be used, reports the bare prompt's rejection.
    if (chosen_[edit].rewrites.empty()) refusals_[edit] = rewrites.front().rejection;
    if (!refusals_[edit].empty() || chosen_[edit].kl_prompt.is_usable()) continue;
    auto order = contexts_.prefixes;
    std::swap(order.front(), order[last_used]);
    for (const std::string& prefix : order) {
      if (!prefix.empty())
        moved_[edit].push_back(builder_.build(edits_[edit], {}, prefix, model_.config.max_positions).kl_prompt);
    }
    for (PromptRow& row : moved_[edit]) tried.push_back({&row, edit});
  }
  std::vector<std::int64_t> used_rows;
  for (const PromptRow* row : used)
    used_rows.push_back(std::ranges::find(tried_, row, &TriedRow::row) - tried_.begin());
  if (!used_rows.empty()) of_chosen_ = activations_->of_rows(used_rows);
  try_rows(std::move(tried));
}

void ContextChoice::settle() {
  reject_attention_sinks();
  for (std::size_t edit = 0; edit < edits_.size(); ++edit) {
    const auto usable = std::ranges::find_if(moved_[edit], &PromptRow::is_usable);
    if (usable != moved_[edit].end()) chosen_[edit].kl_prompt = std::move(*usable);
  }
  activations_.reset();
}

ContextChoice::Chosen ContextChoice::take() {
  Chosen all{.refusals = std::move(refusals_), .accepted = {}, .prompts = {}, .activations = {}};
  std::vector<std::int64_t> rows;
  std::int64_t row = 0;
  for (std::size_t edit = 0; edit < edits_.size(); ++edit) {
    if (all.refusals[edit].empty()) all.refusals[edit] = chosen_[edit].kl_prompt.rejection;
    const std::int64_t begin = row;
    row += std::ssize(chosen_[edit].rewrites);
    if (!all.refusals[edit].empty()) continue;
    for (std::int64_t used = begin; used < row; ++used) rows.push_back(used);
    all.accepted.push_back(static_cast<std::int64_t>(edit));
    all.prompts.push_back(std::move(chosen_[edit]));
  }
  if (std::ssize(rows) == row) {
    all.activations = std::move(of_chosen_);
  } else if (!rows.empty()) {
    all.activations = of_chosen_->of_rows(rows);
  }
  return all;
}

}  // namespace anchorage::worker
