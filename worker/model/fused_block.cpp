#include "worker/model/fused_block.hpp"

#include <torch/utils.h>

#include "worker/kernels/gate.hpp"
#include "worker/kernels/norm.hpp"
#include "worker/kernels/recorded_node.hpp"
#include "worker/kernels/rotation.hpp"
#include "worker/model/forward.hpp"
#include "worker/model/norm.hpp"
#include "worker/model/products.hpp"

namespace anchorage::worker {
namespace {

using kernels::Normed;
using torch::autograd::variable_list;

// One pass of one block: what its backward needs of its forward.
class BlockPass {
 public:
  BlockPass(Block block, BlockContext context) : block_(std::move(block)), context_(std::move(context)) {}

  BlockOutput forward(const torch::Tensor& hidden);
  // Returns the gradient by what entered, of those by what left; the last two, or one of them, may be undefined.
  torch::Tensor backward(const torch::Tensor& hidden, const torch::Tensor& attended,
                         const torch::Tensor& down) const;

  // Forgets what the backward needs.
  void release() { saved_ = {}; }

 private:
  struct HeadNorm {
    torch::Tensor input;  // [tokens, heads, e]
    Normed normed;
  };
  struct Saved {
    torch::Tensor entering, joined, attention, attended, up, down;
    Normed attention_norm, attention_post_norm, mlp_norm, mlp_post_norm;
    HeadNorm query_norm, key_norm;
    kernels::Attended mixed;
  };

  const io::ModelConfig& config() const { return *context_.config; }
  bool is_parallel() const { return config().traits().parallel_block; }
  kernels::GateArguments gate() const { return {config().activation, config().traits().gated_mlp}; }
  kernels::RotationArguments rotation() const {
    return {config().traits().rotary_pairs, context_.rotation.cosine, context_.rotation.sine};
  }
  Normed normalize(const Norm& norm, const torch::Tensor& input) const {
    return kernels::normalize(arguments_of(norm, config()), input, context_.forms.norm);
  }
  torch::Tensor normalize_backward(const Norm& norm, const torch::Tensor& gradient, const torch::Tensor& input,
                                   const Normed& normed, const torch::Tensor& residual = {}) const {
    return kernels::normalize_backward(arguments_of(norm, config()), gradient, input, normed, residual,
                                       context_.forms.norm);
  }
  // Where the family normalizes each head's query or key: of `heads` heads of `joined` from `first` on, in place.
  HeadNorm normalize_heads(const Norm& norm, const torch::Tensor& joined, std::int64_t first,
                           std::int64_t heads) const;
  void normalize_heads_backward(const Norm& norm, const torch::Tensor& gradient, std::int64_t first,
                                std::int64_t heads, const HeadNorm& saved) const;

  Block block_;
  BlockContext context_;
  Saved saved_;
};

BlockPass::HeadNorm BlockPass::normalize_heads(const Norm& norm, const torch::Tensor& joined, std::int64_t first,
                                               std::int64_t heads) const {
  if (!norm.weight.defined()) return {};
  const auto part = joined.narrow(1, first, heads);
  HeadNorm saved{part.contiguous(), {}};
  saved.normed = normalize(norm, saved.input);
  part.copy_(saved.normed.output);
  saved.normed.output = torch::Tensor();
  return saved;
}

void BlockPass::normalize_heads_backward(const Norm& norm, const torch::Tensor& gradient, std::int64_t first,
                                         std::int64_t heads, const HeadNorm& saved) const {
  if (!norm.weight.defined()) return;
  const auto part = gradient.narrow(1, first, heads);
  part.copy_(normalize_backward(norm, part.contiguous(), saved.input, saved.normed));
}

BlockOutput BlockPass::forward(const torch::Tensor& hidden) {
  const std::int64_t tokens = hidden.size(0), heads = config().heads, groups = config().kv_heads;
  saved_.entering = hidden.contiguous();
  saved_.attention_norm = normalize(block_.attention_norm, saved_.entering);
  const auto attention_input = std::exchange(saved_.attention_norm.output, torch::Tensor());
  saved_.joined =
      product(block_.query_key_value, attention_input).view({tokens, heads + 2 * groups, config().head_dim});
  saved_.query_norm = normalize_heads(block_.query_norm, saved_.joined, 0, heads);
  saved_.key_norm = normalize_heads(block_.key_norm, saved_.joined, heads, groups);
  if (context_.rotation.cosine.defined())
    kernels::rotate_in_place(rotation(), saved_.joined, heads + groups, false, context_.forms.rotation);

  saved_.mixed = kernels::attend(context_.attention, saved_.joined, context_.forms.attention);
  saved_.attention = product(block_.attention_output, std::exchange(saved_.mixed.mixed, torch::Tensor()));
  if (block_.attention_post_norm.weight.defined()) {
    saved_.attention_post_norm = normalize(block_.attention_post_norm, saved_.attention);
    saved_.attended = std::exchange(saved_.attention_post_norm.output, torch::Tensor()).add_(saved_.entering);
  } else {
    saved_.attended = std::exchange(saved_.attention, torch::Tensor()).add_(saved_.entering);
  }

  auto mlp_input = attention_input;
  if (!is_parallel()) {
    saved_.mlp_norm = normalize(block_.mlp_norm, saved_.attended);
    mlp_input = std::exchange(saved_.mlp_norm.output, torch::Tensor());
  }
  saved_.up = product(block_.up, mlp_input);
  BlockOutput output{.hidden = {},
                     .key = kernels::activate(gate(), saved_.up, context_.forms.gate),
                     .attention_keys = saved_.joined.narrow(1, heads, groups),
                     .attention_values = saved_.joined.narrow(1, heads + groups, groups)};
  saved_.down = product(block_.down, output.key);
  if (block_.mlp_post_norm.weight.defined()) {
    saved_.mlp_post_norm = normalize(block_.mlp_post_norm, saved_.down);
    output.hidden = std::exchange(saved_.mlp_post_norm.output, torch::Tensor()).add_(saved_.attended);
    output.attended = saved_.attended.detach();
    output.down = saved_.down.detach();
  } else {
    output.hidden = std::exchange(saved_.down, torch::Tensor()).add_(saved_.attended);
  }
  return output;
}

torch::Tensor BlockPass::backward(const torch::Tensor& of_hidden, const torch::Tensor& of_attended,
                                  const torch::Tensor& of_down) const {
  const std::int64_t heads = config().heads, groups = config().kv_heads;
  const auto gradient = of_hidden.defined() ? of_hidden.contiguous() : torch::zeros_like(saved_.entering);
  auto down = gradient;
  if (block_.mlp_post_norm.weight.defined()) {
    down = normalize_backward(block_.mlp_post_norm, gradient, saved_.down, saved_.mlp_post_norm,
                              of_down.defined() ? of_down.contiguous() : torch::Tensor());
  }
  const auto up =
      kernels::activate_backward(gate(), product_backward(block_.down, down), saved_.up, context_.forms.gate);
  const auto mlp_input = product_backward(block_.up, up);
  auto attended = of_attended.defined() ? gradient + of_attended : gradient;
  if (!is_parallel())
    attended = normalize_backward(block_.mlp_norm, mlp_input, saved_.attended, saved_.mlp_norm, attended);

  auto attention = attended;
  if (block_.attention_post_norm.weight.defined()) {
    attention =
        normalize_backward(block_.attention_post_norm, attended, saved_.attention, saved_.attention_post_norm);
  }
  const auto joined =
      kernels::attend_backward(context_.attention, product_backward(block_.attention_output, attention),
                               saved_.joined, saved_.mixed, context_.forms.attention);
  if (context_.rotation.cosine.defined())
    kernels::rotate_in_place(rotation(), joined, heads + groups, true, context_.forms.rotation);
  normalize_heads_backward(block_.query_norm, joined, 0, heads, saved_.query_norm);
  normalize_heads_backward(block_.key_norm, joined, heads, groups, saved_.key_norm);
  auto attention_input = product_backward(block_.query_key_value, joined.view({joined.size(0), -1}));
  if (is_parallel()) attention_input.add_(mlp_input);
  return normalize_backward(block_.attention_norm, attention_input, saved_.entering, saved_.attention_norm,
                            attended);
}

class BlockNode : public torch::autograd::Node {
 public:
  explicit BlockNode(BlockPass pass) : pass_(std::move(pass)) {}

  variable_list apply(variable_list&& gradients) override {
    const torch::NoGradGuard no_gradients;
    gradients.resize(3);
    return {pass_.backward(gradients[0], gradients[1], gradients[2])};
  }
  void release_variables() override { pass_.release(); }
  std::string name() const override { return "Block"; }

 private:
  BlockPass pass_;
};

}  // namespace

BlockOutput run_fused_block(const Block& block, const BlockContext& context, const torch::Tensor& hidden) {
  const bool recorded = torch::autograd::compute_requires_grad(hidden);
  BlockPass pass(block, context);
  BlockOutput output;
  {
    const torch::NoGradGuard no_gradients;
    output = pass.forward(hidden.detach());
  }
  if (!recorded) return output;
  auto node = std::make_unique<BlockNode>(std::move(pass));
  if (output.down.defined()) {
    kernels::record(std::move(node), hidden, {output.hidden, output.attended, output.down});
  } else {
    kernels::record(std::move(node), hidden, {output.hidden});
  }
  return output;
}

}  // namespace anchorage::worker
