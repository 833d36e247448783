#include "worker/editing/values/subject_activations.hpp"

#include <torch/utils.h>
#include <algorithm>

namespace anchorage::worker {
namespace {

constexpr std::string_view captured_operation = "broadcast captured activations";

TokenLayout lay_out_prefixes(const Transformer& model, std::span<const PromptRow> rows) {
  std::vector<TokenIds> prefixes;
  for (const PromptRow& row : rows) prefixes.emplace_back(row.ids.begin(), row.ids.begin() + row.subject_last + 1);
  return lay_out(prefixes, {}, model.device());
}

}  // namespace

SubjectActivations::SubjectActivations(const Transformer& model, std::span<const PromptRow> rows,
                                       std::span<const std::int64_t> edited_layers)
    : model_(model),
      pass_(model, lay_out_prefixes(model, rows)),
      edited_layers_(edited_layers.begin(), edited_layers.end()) {
  const torch::NoGradGuard no_gradients;
  const auto& ends = pass_.layout().row_begin;
  subject_index_ = (torch::tensor(std::vector<std::int64_t>(ends.begin() + 1, ends.end())) - 1).to(model.device());
  entering_ = pass_.blocks(0, edited_layers_.front(), pass_.embed());
}

torch::Tensor SubjectActivations::keys(std::int64_t layer) const {
  const torch::NoGradGuard no_gradients;
  const auto key = pass_.block(layer, pass_.blocks(edited_layers_.front(), layer, entering_)).key;
  return on_all_stages(key.defined() ? key.index_select(0, subject_index_) : key, layer, model_.config.d_ff,
                       model_.dtype());
}

std::vector<torch::Tensor> SubjectActivations::keys() const {
  return at_edited_layers(model_.config.d_ff, model_.dtype(), [](const BlockOutput& output) { return output.key; });
}

torch::Tensor SubjectActivations::residual_stream() const {
  const torch::NoGradGuard no_gradients;
  const std::int64_t last = edited_layers_.back();
  const auto hidden = pass_.blocks(edited_layers_.front(), last + 1, entering_);
  return on_all_stages(model_.holds(last) ? hidden.index_select(0, subject_index_) : hidden, last,
                       model_.config.d_model, model_.dtype());
}

torch::Tensor SubjectActivations::residual_norms() const {
  return at::cat(at_edited_layers(1, torch::kFloat,
                                  [](const BlockOutput& output) {
                                    return output.hidden.to(torch::kFloat).norm(2, -1, /*keepdim=*/true);
                                  }),
                 1);
}

// Stages broadcast what they captured only when everything is computed, so that earlier stages do not wait
// for later ones.
std::vector<torch::Tensor> SubjectActivations::at_edited_layers(std::int64_t width, torch::ScalarType dtype,
                                                                const Capture& capture) const {
  const torch::NoGradGuard no_gradients;
  std::vector<torch::Tensor> captured;
  auto hidden = entering_;
  for (std::int64_t layer = edited_layers_.front(); layer <= edited_layers_.back(); ++layer) {
    const BlockOutput output = pass_.block(layer, hidden);
    hidden = output.hidden;
    if (!std::ranges::count(edited_layers_, layer)) continue;
    captured.emplace_back();
    if (!model_.holds(layer)) continue;
    captured.back() = capture({.hidden = output.hidden.index_select(0, subject_index_),
                               .key = output.key.index_select(0, subject_index_),
                               .attention_keys = {},
                               .attention_values = {}});
  }
  return model_.stages.broadcast_layers_from(0, edited_layers_, std::move(captured), {pass_.layout().rows, width},
                                             dtype, captured_operation);
}

torch::Tensor SubjectActivations::on_all_stages(const torch::Tensor& rows, std::int64_t layer, std::int64_t width,
                                                torch::ScalarType dtype) const {
  return model_.stages.broadcast(rows, model_.stages.stage_of(layer), {pass_.layout().rows, width}, dtype,
                                 captured_operation);
}

}  // namespace anchorage::worker
