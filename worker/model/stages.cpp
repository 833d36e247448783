#include "worker/model/stages.hpp"

#include <torch/csrc/autograd/function.h>
#include <torch/utils.h>
#include <algorithm>
#include <utility>

#include "io/error.hpp"
#include "sharding/layer_partition.hpp"

namespace anchorage::worker {
namespace {

using torch::autograd::variable_list;

// A node in the graph of the stage that a tensor left: receives its gradient from the stage to which it
// moved.
class GradientFromStage : public torch::autograd::Node {
 public:
  GradientFromStage(torch::autograd::edge_list next, const torch::Tensor& sent,
                    sharding::DeviceCommunicator& replica, int to)
      : Node(std::move(next)), shape_(sent.sizes().vec()), options_(sent.options()), replica_(replica), to_(to) {}

  variable_list apply(variable_list&&) override {
    auto gradient = torch::empty(shape_, options_);
    replica_.receive(gradient, to_, "receive gradient");
    return {gradient};
  }

 private:
  std::vector<std::int64_t> shape_;
  torch::TensorOptions options_;
  sharding::DeviceCommunicator& replica_;
  int to_;
};

// A node in the graph of the stage to which a tensor moved: sends its gradient to the stage that it left.
class GradientToStage : public torch::autograd::Node {
 public:
  GradientToStage(sharding::DeviceCommunicator& replica, int from) : replica_(replica), from_(from) {}

  variable_list apply(variable_list&& gradients) override {
    replica_.send(gradients.front(), from_, "send gradient");
    return {};
  }

 private:
  sharding::DeviceCommunicator& replica_;
  int from_;
};

torch::Tensor with_history(torch::Tensor tensor, const std::shared_ptr<torch::autograd::Node>& node) {
  torch::autograd::create_gradient_edge(tensor, node);
  return tensor;
}

}  // namespace

Stages::Stages(std::vector<sharding::Range> layers_of, sharding::DeviceCommunicator& replica)
    : layers_of_(std::move(layers_of)), replica_(&replica) {
  io::check(std::ssize(layers_of_) == replica.size(),
            fmt::format("{} stages on {} ranks", layers_of_.size(), replica.size()));
}

int Stages::stage_of(std::int64_t layer) const {
  return replica_ == nullptr ? 0 : sharding::stage_of(layer, layers_of_);
}

sharding::Range Stages::own_layers(std::int64_t layers) const {
  if (replica_ == nullptr) return {0, layers};
  io::check(layers_of_.back().end == layers,
            fmt::format("a model of {} layers in stages up to layer {}", layers, layers_of_.back().end));
  return layers_of_[static_cast<std::size_t>(index())];
}

torch::Tensor Stages::move(const torch::Tensor& tensor, int from, int to, torch::IntArrayRef shape,
                           torch::ScalarType dtype, std::string_view operation) const {
  if (from == to || (index() != from && index() != to)) return tensor;
  const bool recording = torch::GradMode::is_enabled();
  if (index() == from) {
    io::check(tensor.sizes() == shape && tensor.scalar_type() == dtype && tensor.requires_grad() == recording,
              fmt::format("'{}' sends another tensor than the next stage waits for", operation));
    replica_->send(tensor.detach(), to, operation);
    if (!recording) return {};
    return with_history(
        torch::empty({0}, tensor.options().requires_grad(false)),
        std::make_shared<GradientFromStage>(torch::autograd::collect_next_edges(tensor), tensor, *replica_, to));
  }
  auto received = torch::empty(shape, torch::TensorOptions(replica_->device()).dtype(dtype));
  replica_->receive(received, from, operation);
  return recording ? with_history(received, std::make_shared<GradientToStage>(*replica_, from)) : received;
}

torch::Tensor Stages::place_for(const torch::Tensor& tensor, int from, torch::IntArrayRef shape,
                                torch::ScalarType dtype, std::string_view operation) const {
  const torch::NoGradGuard no_gradients;
  auto place = index() == from ? tensor.detach().contiguous()
                               : torch::empty(shape, torch::TensorOptions(replica_->device()).dtype(dtype));
  io::check(place.sizes() == shape && place.scalar_type() == dtype,
            fmt::format("'{}' shares another tensor than the other stages wait for", operation));
  return place;
}

torch::Tensor Stages::broadcast(const torch::Tensor& tensor, int from, torch::IntArrayRef shape,
                                torch::ScalarType dtype, std::string_view operation,
                                sharding::Timeout timeout) const {
  if (count() == 1) return tensor;
  auto everywhere = place_for(tensor, from, shape, dtype, operation);
  replica_->broadcast(everywhere, from, operation, timeout);
  return everywhere;
}

torch::Tensor Stages::broadcast_from(int first, const torch::Tensor& tensor, int from, torch::IntArrayRef shape,
                                     torch::ScalarType dtype, std::string_view operation) const {
  if (first == last()) return tensor;
  auto there = place_for(tensor, from, shape, dtype, operation);
  replica_->broadcast_among({first, count()}, there, from, operation);
  return there;
}

std::vector<torch::Tensor> Stages::broadcast_layers_from(int first, std::span<const std::int64_t> layers,
                                                         std::vector<torch::Tensor> tensors,
                                                         torch::IntArrayRef shape, torch::ScalarType dtype,
                                                         std::string_view operation) const {
  if (first == last()) return tensors;
  const torch::NoGradGuard no_gradients;
  for (std::size_t begin = 0, end = 0; begin < layers.size(); begin = end) {
    const int from = stage_of(layers[begin]);
    while (end < layers.size() && stage_of(layers[end]) == from) ++end;
    const auto count = static_cast<std::ptrdiff_t>(end - begin);
    torch::Tensor packed;
    if (index() == from) packed = at::stack(at::TensorList(tensors).slice(begin, end - begin));
    std::vector<std::int64_t> packed_shape = shape.vec();
    packed_shape.insert(packed_shape.begin(), count);
    const auto shared = broadcast_from(first, packed, from, packed_shape, dtype, operation).unbind();
    std::ranges::copy(shared, tensors.begin() + static_cast<std::ptrdiff_t>(begin));
  }
  return tensors;
}

}  // namespace anchorage::worker
