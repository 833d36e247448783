// Several tensors in one message, where both sides know their shapes and dtypes.
#pragma once

#include <torch/types.h>

#include <vector>

namespace anchorage::worker {

struct MessagePart {
  std::vector<std::int64_t> shape;
  torch::ScalarType dtype = torch::kFloat;
};

// Copies the tensors, all on one device, one after the other: [bytes] u8. Each begins at a multiple of 64 bytes, as
// torch's own allocations do, so that what is computed from a received tensor does not depend on its place.
torch::Tensor pack(const std::vector<torch::Tensor>& tensors);

// Returns an empty message for such tensors, to be received into.
torch::Tensor empty_message(const std::vector<MessagePart>& parts, torch::Device device);

// Returns the tensors of a message, which share its memory.
std::vector<torch::Tensor> unpack(const torch::Tensor& message, const std::vector<MessagePart>& parts);

}  // namespace anchorage::worker
