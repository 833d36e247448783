#include "worker/editing/values/subject_states.hpp"

#include <torch/utils.h>
#include <algorithm>

namespace anchorage::worker {
namespace {

constexpr std::string_view what_a_layer_saw = "share what layers saw";

TokenLayout lay_out_beginnings(const Transformer& model, std::span<const PromptRow> rows) {
  std::vector<TokenIds> beginnings;
  for (const PromptRow& row : rows)
    beginnings.emplace_back(row.ids.begin(), row.ids.begin() + row.subject_last + 1);
  return lay_out(beginnings, {}, model.device());
}

}  // namespace

SubjectStates::SubjectStates(const Transformer& model, std::span<const PromptRow> rows,
                             std::span<const std::int64_t> edited_layers)
    : model_(model),
      pass_(model, lay_out_beginnings(model, rows)),
      edited_layers_(edited_layers.begin(), edited_layers.end()) {
  const torch::NoGradGuard no_gradients;
  const auto& ends = pass_.layout().row_begin;
  subject_index_ = (torch::tensor(std::vector<std::int64_t>(ends.begin() + 1, ends.end())) - 1).to(model.device());
  entering_ = pass_.blocks(0, edited_layers_.front(), pass_.embed());
}

torch::Tensor SubjectStates::keys(std::int64_t layer) const {
  const torch::NoGradGuard no_gradients;
  const auto key = pass_.block(layer, pass_.blocks(edited_layers_.front(), layer, entering_)).key;
  return on_all_stages(key.defined() ? key.index_select(0, subject_index_) : key, layer, model_.config.d_ff,
                       model_.dtype());
}

std::vector<torch::Tensor> SubjectStates::keys() const {
  return at_edited_layers(model_.config.d_ff, model_.dtype(), [](const BlockOutput& output) { return output.key; });
}

torch::Tensor SubjectStates::residual_stream() const {
  const torch::NoGradGuard no_gradients;
  const std::int64_t last = edited_layers_.back();
  const auto hidden = pass_.blocks(edited_layers_.front(), last + 1, entering_);
  return on_all_stages(model_.holds(last) ? hidden.index_select(0, subject_index_) : hidden, last,
                       model_.config.d_model, model_.dtype());
}

torch::Tensor SubjectStates::residual_norms() const {
  return at::cat(at_edited_layers(1, torch::kFloat,
                                  [](const BlockOutput& output) {
                                    return output.hidden.to(torch::kFloat).norm(2, -1, /*keepdim=*/true);
                                  }),
                 1);
}

// The stages that are through do not wait for those behind them: what they saw is shared when all is computed.
std::vector<torch::Tensor> SubjectStates::at_edited_layers(std::int64_t width, torch::ScalarType dtype,
                                                           const Observe& observe) const {
  const torch::NoGradGuard no_gradients;
  std::vector<torch::Tensor> observed;
  auto hidden = entering_;
  for (std::int64_t layer = edited_layers_.front(); layer <= edited_layers_.back(); ++layer) {
    const BlockOutput output = pass_.block(layer, hidden);
    hidden = output.hidden;
    if (!std::ranges::count(edited_layers_, layer)) continue;
    observed.emplace_back();
    if (!model_.holds(layer)) continue;
    observed.back() = observe({.hidden = output.hidden.index_select(0, subject_index_),
                               .key = output.key.index_select(0, subject_index_),
                               .attention_keys = {},
                               .attention_values = {}});
  }
  return model_.stages.share_layers_from(0, edited_layers_, std::move(observed), {pass_.layout().rows, width},
                                         dtype, what_a_layer_saw);
}

torch::Tensor SubjectStates::on_all_stages(const torch::Tensor& rows, std::int64_t layer, std::int64_t width,
                                           torch::ScalarType dtype) const {
  return model_.stages.share(rows, model_.stages.of(layer), {pass_.layout().rows, width}, dtype, what_a_layer_saw);
}

}  // namespace anchorage::worker
