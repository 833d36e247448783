#include "worker/model/stages.hpp"

#include <torch/utils.h>
#include <algorithm>
#include <utility>

#include "io/error.hpp"

namespace anchorage::worker {

Stages::Stages(std::vector<sharding::StageLayers> layers_of, sharding::DeviceCommunicator& replica)
    : layers_of_(std::move(layers_of)), replica_(&replica) {
  io::check(std::ssize(layers_of_) == replica.size(),
            fmt::format("{} stages on {} ranks", layers_of_.size(), replica.size()));
  std::int64_t layers = 0;
  for (const sharding::StageLayers& stage : layers_of_) layers += stage.size();
  int passes = 1;
  for (std::int64_t layer = 1; layer < layers; ++layer) passes += stage_of(layer) < stage_of(layer - 1) ? 1 : 0;
  io::check(passes <= 2, fmt::format("hidden states go through the stages at most twice, found {}", passes));
}

int Stages::stage_of(std::int64_t layer) const {
  return replica_ == nullptr ? 0 : sharding::stage_of(layer, layers_of_);
}

std::int64_t Stages::place_of(std::int64_t layer) const {
  return replica_ == nullptr ? layer : layers_of_[static_cast<std::size_t>(index())].below(layer);
}

sharding::StageLayers Stages::own_layers(std::int64_t layers) const {
  if (replica_ == nullptr) return {0, layers};
  std::int64_t held = 0;
  for (const sharding::StageLayers& stage : layers_of_) held += stage.size();
  io::check(held == layers, fmt::format("a model of {} layers in stages that hold {}", layers, held));
  return layers_of_[static_cast<std::size_t>(index())];
}

std::int64_t Stages::second_pass(std::int64_t layers) const {
  for (std::int64_t layer = 1; layer < layers; ++layer) {
    if (stage_of(layer) < stage_of(layer - 1)) return layer;
  }
  return layers;
}

torch::Tensor Stages::send(const torch::Tensor& tensor, int from, int to, torch::IntArrayRef shape,
                           torch::ScalarType dtype, std::string_view operation) const {
  if (from == to || index() != from) return tensor;
  io::check(tensor.sizes() == shape && tensor.scalar_type() == dtype && !tensor.requires_grad(),
            fmt::format("'{}' sends another tensor than the next stage waits for", operation));
  replica_->post(tensor.contiguous(), to, operation);
  return {};
}

torch::Tensor Stages::receive(const torch::Tensor& tensor, int from, int to, torch::IntArrayRef shape,
                              torch::ScalarType dtype, std::string_view operation) const {
  if (from == to || index() != to) return tensor;
  auto received = torch::empty(shape, torch::TensorOptions(replica_->device()).dtype(dtype));
  replica_->receive_posted(received, from, operation);
  return received;
}

void Stages::deliver() const {
  if (count() > 1) replica_->deliver_posts("deliver what was moved between stages");
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

std::vector<torch::Tensor> Stages::broadcast_layers(std::span<const std::int64_t> layers,
                                                    std::vector<torch::Tensor> tensors, torch::IntArrayRef shape,
                                                    torch::ScalarType dtype, std::string_view operation) const {
  if (count() == 1) return tensors;
  const torch::NoGradGuard no_gradients;
  for (std::size_t begin = 0, end = 0; begin < layers.size(); begin = end) {
    const int from = stage_of(layers[begin]);
    while (end < layers.size() && stage_of(layers[end]) == from) ++end;
    const auto count = static_cast<std::ptrdiff_t>(end - begin);
    torch::Tensor packed;
    if (index() == from) packed = at::stack(at::TensorList(tensors).slice(begin, end - begin));
    std::vector<std::int64_t> packed_shape = shape.vec();
    packed_shape.insert(packed_shape.begin(), count);
    const auto shared = broadcast(packed, from, packed_shape, dtype, operation).unbind();
    std::ranges::copy(shared, tensors.begin() + static_cast<std::ptrdiff_t>(begin));
  }
  return tensors;
}

}  // namespace anchorage::worker
