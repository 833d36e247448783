// Passes through the blocks of a model, for the tests of a block's forms.
#pragma once

#include <torch/csrc/autograd/autograd.h>
#include <torch/utils.h>

#include <numeric>
#include <vector>

#include "worker/model/forward.hpp"

namespace anchorage::tests {

// What leaves the blocks of the model over suffixes with random caches, and the gradient by what enters of a random
// sum, over the residual stream and, where the MLP's output goes through a norm, over what enters that norm.
struct PassedBlocks {
  torch::Tensor hidden, gradient;
};

inline PassedBlocks pass_through(const worker::Transformer& model, worker::kernels::Forms forms) {
  torch::manual_seed(7);
  worker::Transformer with_forms = model;
  with_forms.forms = forms;
  std::vector<worker::TokenIds> rows = {
      {5, 6, 7, 8, 9}, {10, 11, 12}, {13, 14, 15, 16, 17, 18, 19}, worker::TokenIds(24)};
  std::iota(rows.back().begin(), rows.back().end(), 30);
  const std::vector<std::int64_t> first = {3, 1, 5, 13};
  const worker::ForwardPass pass(with_forms, worker::lay_out(rows, first, model.device()));
  const auto random = [&](torch::IntArrayRef shape) {
    return torch::randn(shape, torch::kDouble).to(model.device(), model.dtype());
  };
  const auto entering = random({pass.layout().tokens(), model.config.d_model}).requires_grad_(true);
  auto hidden = entering;
  torch::Tensor sum = torch::zeros({}, hidden.options().dtype(torch::kDouble).requires_grad(false));
  for (std::int64_t layer = 0; layer < model.layers(); ++layer) {
    const std::vector<std::int64_t> cached{pass.layout().rows, pass.layout().past, model.config.kv_heads,
                                           model.config.head_dim};
    const worker::AttentionCache cache{random(cached), random(cached)};
    const worker::BlockOutput output = pass.block(layer, hidden, &cache);
    hidden = output.hidden;
    if (output.down.defined()) {
      sum = sum + (output.down * random(output.down.sizes())).sum().to(torch::kDouble) +
            (output.attended * random(output.attended.sizes())).sum().to(torch::kDouble);
    }
  }
  sum = sum + (hidden * random(hidden.sizes())).sum().to(torch::kDouble);
  return {hidden.detach(), torch::autograd::grad({sum}, {entering}).front()};
}

inline double apart(const torch::Tensor& actual, const torch::Tensor& expected) {
  const auto wide = expected.to(torch::kCPU, torch::kDouble);
  return ((actual.to(torch::kCPU, torch::kDouble) - wide).norm() / wide.norm()).item<double>();
}

}  // namespace anchorage::tests
