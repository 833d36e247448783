#include "worker/editing/subject_states.hpp"

#include <algorithm>

namespace anchorage::worker {
namespace {

TokenLayout lay_out_beginnings(const Transformer& model, std::span<const PromptRow> rows) {
  std::vector<TokenIds> beginnings;
  for (const PromptRow& row : rows)
    beginnings.emplace_back(row.ids.begin(), row.ids.begin() + row.subject_last + 1);
  return lay_out(beginnings, {}, model.device());
}

}  // namespace

SubjectStates::SubjectStates(const Transformer& model, std::span<const PromptRow> rows,
                             std::span<const std::int64_t> edited_layers)
    : pass_(model, lay_out_beginnings(model, rows)), edited_layers_(edited_layers.begin(), edited_layers.end()) {
  const torch::NoGradGuard no_gradients;
  const auto& ends = pass_.layout().row_begin;
  subject_index_ = (torch::tensor(std::vector<std::int64_t>(ends.begin() + 1, ends.end())) - 1).to(model.device());
  entering_ = pass_.blocks(0, edited_layers_.front(), pass_.embed());
}

torch::Tensor SubjectStates::keys(std::int64_t layer) const {
  const torch::NoGradGuard no_gradients;
  const auto before = pass_.blocks(edited_layers_.front(), layer, entering_);
  return pass_.block(layer, before).key.index_select(0, subject_index_);
}

std::vector<torch::Tensor> SubjectStates::keys() const {
  std::vector<torch::Tensor> keys;
  for_each_edited_layer(
      [&](const BlockOutput& output) { keys.push_back(output.key.index_select(0, subject_index_)); });
  return keys;
}

torch::Tensor SubjectStates::residual_stream() const {
  const torch::NoGradGuard no_gradients;
  return pass_.blocks(edited_layers_.front(), edited_layers_.back() + 1, entering_).index_select(0, subject_index_);
}

torch::Tensor SubjectStates::residual_norms() const {
  std::vector<torch::Tensor> norms;
  for_each_edited_layer([&](const BlockOutput& output) {
    norms.push_back(output.hidden.index_select(0, subject_index_).to(torch::kFloat).norm(2, -1));
  });
  return at::stack(norms, 1);
}

void SubjectStates::for_each_edited_layer(const std::function<void(const BlockOutput&)>& observe) const {
  const torch::NoGradGuard no_gradients;
  auto hidden = entering_;
  for (std::int64_t layer = edited_layers_.front(); layer <= edited_layers_.back(); ++layer) {
    const BlockOutput output = pass_.block(layer, hidden);
    if (std::ranges::count(edited_layers_, layer)) observe(output);
    hidden = output.hidden;
  }
}

}  // namespace anchorage::worker
