// The matrix products of a model, [n, in] by [out, in], and the time that they take.
#pragma once

#include "worker/model/transformer.hpp"

namespace anchorage::worker {

// Returns input W^T + b: [n, out]. Without autograd.
torch::Tensor product(const Linear& linear, const torch::Tensor& input);
// Returns the gradient by the input, of that by the output: g W, [n, in].
torch::Tensor product_backward(const Linear& linear, const torch::Tensor& gradient);

// The first, differentiable by the input, with the second as its backward.
torch::Tensor differentiable_product(const Linear& linear, const torch::Tensor& input);

// Returns the seconds that this thread has spent in these on a CPU. On a GPU a call returns before its product is
// computed, so they are not counted.
double product_seconds();

}  // namespace anchorage::worker
