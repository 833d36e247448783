#include "worker/editing/values/stage_message.hpp"

#include <torch/utils.h>
#include <functional>
#include <numeric>

#include "io/error.hpp"

namespace anchorage::worker {
namespace {

constexpr std::int64_t alignment = 64;  // bytes

std::int64_t bytes_of(const MessagePart& part) {
  const auto elements = std::accumulate(part.shape.begin(), part.shape.end(), std::int64_t{1}, std::multiplies<>());
  return elements * static_cast<std::int64_t>(torch::elementSize(part.dtype));
}

std::int64_t padded(std::int64_t bytes) {
  return (bytes + alignment - 1) / alignment * alignment;
}

}  // namespace

torch::Tensor empty_message(const std::vector<MessagePart>& parts, torch::Device device) {
  std::int64_t bytes = 0;
  for (const MessagePart& part : parts) bytes += padded(bytes_of(part));
  return torch::empty({bytes}, torch::TensorOptions(device).dtype(torch::kByte));
}

torch::Tensor pack(const std::vector<torch::Tensor>& tensors) {
  const torch::NoGradGuard no_gradients;
  std::vector<MessagePart> parts;
  for (const torch::Tensor& tensor : tensors) parts.push_back({tensor.sizes().vec(), tensor.scalar_type()});
  const auto message = empty_message(parts, tensors.front().device());
  const auto places = unpack(message, parts);
  for (std::size_t i = 0; i < tensors.size(); ++i) places[i].copy_(tensors[i]);
  return message;
}

std::vector<torch::Tensor> unpack(const torch::Tensor& message, const std::vector<MessagePart>& parts) {
  std::vector<torch::Tensor> tensors;
  std::int64_t begin = 0;
  for (const MessagePart& part : parts) {
    const std::int64_t bytes = bytes_of(part);
    tensors.push_back(message.narrow(0, begin, bytes).view(part.dtype).view(part.shape));
    begin += padded(bytes);
  }
  io::check(begin == message.size(0), fmt::format("a message of {} bytes, expected {}", message.size(0), begin));
  return tensors;
}

}  // namespace anchorage::worker
