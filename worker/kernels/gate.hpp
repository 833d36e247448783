// The activation of an MLP, gated or not, with its gradient.
#pragma once

#include <torch/types.h>

#include "io/model/model_config.hpp"

namespace anchorage::worker::kernels {

struct GateArguments {
  io::Activation activation = io::Activation::silu;
  bool gated = true;  // activation(gate) * up (arXiv 2002.05202) instead of activation(up)
};

// Returns the key, the input of the down projection: [tokens, f] from what the up projection gives, [tokens, f] or
// gated [tokens, 2 f], the gate first; contiguous.
torch::Tensor activate(const GateArguments& arguments, const torch::Tensor& up, bool fused);

// Returns the gradient by `up`, of that by the key.
torch::Tensor activate_backward(const GateArguments& arguments, const torch::Tensor& gradient,
                                const torch::Tensor& up, bool fused);

}  // namespace anchorage::worker::kernels
