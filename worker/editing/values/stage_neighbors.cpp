#include "worker/editing/values/stage_neighbors.hpp"

namespace anchorage::worker {

void StageNeighbors::send_up(const std::vector<torch::Tensor>& tensors, std::string_view operation) const {
  stages_.replica().post(pack(tensors), stages_.index() + 1, operation);
}

void StageNeighbors::send_down(const std::vector<torch::Tensor>& tensors, std::string_view operation) const {
  stages_.replica().post(pack(tensors), stages_.index() - 1, operation);
}

std::vector<torch::Tensor> StageNeighbors::from_below(const std::vector<MessagePart>& parts,
                                                      std::string_view operation) const {
  return receive(stages_.index() - 1, parts, operation);
}

std::vector<torch::Tensor> StageNeighbors::from_above(const std::vector<MessagePart>& parts,
                                                      std::string_view operation) const {
  return receive(stages_.index() + 1, parts, operation);
}

std::vector<torch::Tensor> StageNeighbors::receive(int from, const std::vector<MessagePart>& parts,
                                                   std::string_view operation) const {
  const auto message = empty_message(parts, stages_.replica().device());
  stages_.replica().receive_posted(message, from, operation);
  return unpack(message, parts);
}

void StageNeighbors::deliver() const {
  if (count() > 1) stages_.replica().deliver_posts("deliver the last messages between stages");
}

}  // namespace anchorage::worker
