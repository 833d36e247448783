#include "worker/editing/values/subject_activations.hpp"

#include <torch/utils.h>
#include <algorithm>
#include <utility>

#include "io/error.hpp"
#include "worker/editing/values/post_norm.hpp"

namespace anchorage::worker {
namespace {

constexpr std::string_view captured_operation = "broadcast captured activations";

std::vector<TokenIds> prefixes_of(std::span<const PromptRow> rows) {
  std::vector<TokenIds> prefixes;
  for (const PromptRow& row : rows) prefixes.emplace_back(row.ids.begin(), row.ids.begin() + row.subject_last + 1);
  return prefixes;
}

}  // namespace

SubjectActivations::SubjectActivations(const Transformer& model, std::vector<TokenIds> prefixes,
                                       std::vector<std::int64_t> edited_layers)
    : model_(model),
      prefixes_(std::move(prefixes)),
      pass_(model, lay_out(prefixes_, {}, model.device())),
      edited_layers_(std::move(edited_layers)),
      reached_(edited_layers_.front()) {
  std::vector<std::int64_t> last;
  for (std::size_t row = 0; row < prefixes_.size(); ++row) last.push_back(pass_.layout().row_begin[row + 1] - 1);
  subject_index_ = index_tensor(last, model.device());
}

SubjectActivations::SubjectActivations(const Transformer& model, std::span<const PromptRow> rows,
                                       std::span<const std::int64_t> edited_layers)
    : SubjectActivations(model, prefixes_of(rows), {edited_layers.begin(), edited_layers.end()}) {
  const torch::NoGradGuard no_gradients;
  entering_ = pass_.begin_below(edited_layers_.front());
}

std::unique_ptr<SubjectActivations> SubjectActivations::of_rows(std::span<const std::int64_t> rows) const {
  io::check(entered_, "rows are taken of activations that have arrived");
  const torch::NoGradGuard no_gradients;
  std::vector<TokenIds> prefixes;
  std::vector<std::int64_t> tokens;
  for (const std::int64_t row : rows) {
    const auto at = static_cast<std::size_t>(row);
    prefixes.push_back(prefixes_[at]);
    for (auto token = pass_.layout().row_begin[at]; token < pass_.layout().row_begin[at + 1]; ++token)
      tokens.push_back(token);
  }
  std::unique_ptr<SubjectActivations> some(new SubjectActivations(model_, std::move(prefixes), edited_layers_));
  if (model_.holds(edited_layers_.front()))
    some->entering_ = entering_.index_select(0, index_tensor(tokens, model_.device()));
  some->entered_ = true;
  return some;
}

void SubjectActivations::arrive() {
  const torch::NoGradGuard no_gradients;
  entering_ = pass_.finish_below(edited_layers_.front(), entering_);
  entered_ = true;
}

const torch::Tensor& SubjectActivations::entering() {
  if (!entered_) arrive();
  return entering_;
}

torch::Tensor SubjectActivations::before(std::int64_t layer) {
  const bool anew = reached_ == edited_layers_.front() || layer < reached_;
  auto hidden = anew ? entering() : at_reached_;
  for (std::int64_t below = anew ? edited_layers_.front() : reached_; below < layer; ++below)
    hidden = pass_.enter(below + 1, pass_.block_here(below, hidden).hidden);
  return hidden;
}

torch::Tensor SubjectActivations::keys(std::int64_t layer) {
  const torch::NoGradGuard no_gradients;
  at_reached_ = before(layer);
  reached_ = layer;
  const auto key = pass_.block_here(layer, at_reached_).key;
  return on_all_stages(key.defined() ? key.index_select(0, subject_index_) : key, layer, model_.config.d_ff,
                       model_.dtype());
}

std::vector<torch::Tensor> SubjectActivations::keys() {
  return shared(at_edited_layers([](const BlockOutput& output) { return output.key; }), model_.config.d_ff,
                model_.dtype());
}

torch::Tensor SubjectActivations::residual_stream(const torch::Tensor& value) {
  const torch::NoGradGuard no_gradients;
  const std::int64_t last = edited_layers_.back();
  const BlockOutput output = pass_.block_here(last, before(last));
  torch::Tensor at_subjects;
  if (model_.holds(last)) {
    const auto selected = [&](const torch::Tensor& tokens) { return tokens.index_select(0, subject_index_); };
    at_subjects = selected(output.hidden);
    if (value.defined()) {
      at_subjects = ForwardPass::hidden_of(model_, last, selected(output.attended),
                                           selected(output.down) + value.to(model_.dtype()));
    }
  }
  return on_all_stages(at_subjects, last, model_.config.d_model, model_.dtype());
}

torch::Tensor SubjectActivations::norm_slopes(std::int64_t layer) {
  const torch::NoGradGuard no_gradients;
  const BlockOutput output = pass_.block_here(layer, before(layer));
  torch::Tensor slopes;
  if (model_.holds(layer)) {
    slopes =
        slopes_of(model_.block(layer).mlp_post_norm, model_.config, output.down.index_select(0, subject_index_))
            .flatten(1);
  }
  return on_all_stages(slopes, layer, 2 * model_.config.d_model, torch::kFloat).unflatten(1, {2, -1});
}

void SubjectActivations::compute_residual_norms() {
  norms_ = at_edited_layers(
      [](const BlockOutput& output) { return output.hidden.to(torch::kFloat).norm(2, -1, /*keepdim=*/true); });
}

torch::Tensor SubjectActivations::residual_norms() {
  if (norms_.empty()) compute_residual_norms();
  return at::cat(shared(std::exchange(norms_, {}), 1, torch::kFloat), 1);
}

std::vector<torch::Tensor> SubjectActivations::at_edited_layers(const Capture& capture) {
  const torch::NoGradGuard no_gradients;
  std::vector<torch::Tensor> captured;
  auto hidden = entering();
  for (std::int64_t layer = edited_layers_.front(); layer <= edited_layers_.back(); ++layer) {
    if (layer > edited_layers_.front()) hidden = pass_.enter(layer, hidden);
    const BlockOutput output = pass_.block_here(layer, hidden);
    hidden = output.hidden;
    if (!std::ranges::count(edited_layers_, layer)) continue;
    captured.emplace_back();
    if (!model_.holds(layer)) continue;
    captured.back() = capture({.hidden = output.hidden.index_select(0, subject_index_),
                               .key = output.key.index_select(0, subject_index_)});
  }
  return captured;
}

// Stages broadcast what they captured only when everything is computed, so that earlier stages do not wait
// for later ones.
std::vector<torch::Tensor> SubjectActivations::shared(std::vector<torch::Tensor> captured, std::int64_t width,
                                                      torch::ScalarType dtype) const {
  return model_.stages.broadcast_layers(edited_layers_, std::move(captured), {pass_.layout().rows, width}, dtype,
                                        captured_operation);
}

torch::Tensor SubjectActivations::on_all_stages(const torch::Tensor& rows, std::int64_t layer, std::int64_t width,
                                                torch::ScalarType dtype) const {
  return model_.stages.broadcast(rows, model_.stages.stage_of(layer), {pass_.layout().rows, width}, dtype,
                                 captured_operation);
}

}  // namespace anchorage::worker
