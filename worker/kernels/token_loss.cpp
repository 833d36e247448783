#include "worker/kernels/token_loss.hpp"

#include <torch/utils.h>

#include "worker/kernels/recorded_node.hpp"
#include "worker/kernels/rows.hpp"

namespace anchorage::worker::kernels {
namespace {

using torch::autograd::variable_list;

const RowKernel<LossRows> loss_forward{simd::loss_rows, cuda::loss_rows, cuda::block_per_row};
const RowKernel<LossRows> loss_backward{simd::loss_rows_back, cuda::loss_rows_back, cuda::blocks_over_rows};

LossRows rows_of_loss(const TokenLossArguments& arguments, const torch::Tensor& logits,
                      const torch::Tensor& totals) {
  return {.element = element_of(logits),
          .width = logits.size(1),
          .predicted = arguments.target_ids.size(0),
          .logits = logits.const_data_ptr(),
          .targets = arguments.target_ids.const_data_ptr<std::int64_t>(),
          .before = arguments.before.const_data_ptr(),
          .totals = totals.data_ptr()};
}

class TokenLossNode : public torch::autograd::Node {
 public:
  TokenLossNode(TokenLossArguments arguments, torch::Tensor logits, torch::Tensor totals)
      : arguments_(std::move(arguments)), logits_(std::move(logits)), totals_(std::move(totals)) {}

  variable_list apply(variable_list&& gradients) override {
    const torch::NoGradGuard no_gradients;
    const std::int64_t predicted = arguments_.target_ids.size(0), others = arguments_.before.size(0);
    const auto of_rows = [&](const torch::Tensor& gradient, std::int64_t rows) {
      return gradient.defined() ? gradient : torch::zeros({rows}, totals_.options());
    };
    const auto all = at::cat({of_rows(gradients[0], predicted), of_rows(gradients[1], others)});
    auto by_logits = torch::empty_like(logits_);
    auto rows = rows_of_loss(arguments_, logits_, totals_);
    rows.gradient = all.const_data_ptr();
    rows.logits_gradient = by_logits.data_ptr();
    run(loss_backward, rows, logits_.device(), logits_.size(0), rows.width);
    return {by_logits};
  }
  void release_variables() override {
    logits_.reset();
    totals_.reset();
  }
  std::string name() const override { return "TokenLoss"; }

 private:
  TokenLossArguments arguments_;
  torch::Tensor logits_, totals_;
};

TokenLosses fused_losses(const TokenLossArguments& arguments, const torch::Tensor& logits) {
  const std::int64_t predicted = arguments.target_ids.size(0), rows = logits.size(0);
  const auto wide = logits.options().dtype(wide_of(logits.scalar_type())).requires_grad(false);
  const auto totals = torch::empty({rows}, wide), losses = torch::empty({rows}, wide);
  TokenLosses found{.nll = {}, .kl = {}, .missed = torch::empty({predicted}, wide.dtype(torch::kBool))};
  const auto plain = logits.detach().contiguous();
  auto of_rows = rows_of_loss(arguments, plain, totals);
  of_rows.losses = losses.data_ptr();
  of_rows.missed = found.missed.data_ptr<bool>();
  run(loss_forward, of_rows, plain.device(), rows, of_rows.width);
  found.nll = losses.narrow(0, 0, predicted).clone();
  found.kl = losses.narrow(0, predicted, rows - predicted).clone();
  if (!torch::autograd::compute_requires_grad(logits)) return found;
  record(std::make_unique<TokenLossNode>(arguments, plain, totals), logits, {found.nll, found.kl});
  return found;
}

}  // namespace

TokenLosses token_losses(const TokenLossArguments& arguments, const torch::Tensor& logits, bool fused) {
  if (fused && are_fused_on(logits, cuda::loss_family)) return fused_losses(arguments, logits);
  const std::int64_t predicted = arguments.target_ids.size(0);
  const auto log_probabilities = at::log_softmax(logits.to(wide_of(logits.scalar_type())), -1);
  const auto of_targets = log_probabilities.narrow(0, 0, predicted);
  const auto of_others = log_probabilities.narrow(0, predicted, arguments.before.size(0));
  return {.nll = -of_targets.gather(1, arguments.target_ids.unsqueeze(1)).squeeze(1),
          .kl = (arguments.before.exp() * (arguments.before - of_others)).sum(-1),
          .missed = of_targets.detach().argmax(-1).ne(arguments.target_ids)};
}

}  // namespace anchorage::worker::kernels
