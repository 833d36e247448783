// Nodes of autograd whose backward is written out.
#pragma once

#include <torch/csrc/autograd/function.h>
#include <torch/csrc/autograd/functions/utils.h>

#include <initializer_list>
#include <memory>

namespace anchorage::worker::kernels {

// Records that `node` makes the gradients by `inputs`, one tensor or several, of those by `outputs`, in their
// order.
template <class Node, class Inputs>
void record(std::unique_ptr<Node> node, const Inputs& inputs, std::initializer_list<torch::Tensor> outputs) {
  const std::shared_ptr<Node> shared(node.release(), torch::autograd::deleteNode);
  shared->set_next_edges(torch::autograd::collect_next_edges(inputs));
  for (const torch::Tensor& output : outputs) torch::autograd::set_history(output, shared);
}

}  // namespace anchorage::worker::kernels
