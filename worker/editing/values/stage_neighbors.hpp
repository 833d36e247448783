// The stages before and after this one, among those that take part in an optimizer's steps.
#pragma once

#include <string_view>
#include <vector>

#include "worker/editing/values/stage_message.hpp"
#include "worker/model/stages.hpp"

namespace anchorage::worker {

// Messages up and down do not wait for their receivers. Between two stages they arrive in the order in which they
// were sent. For stages that take part.
class StageNeighbors {
 public:
  // Stages from `first` on take part. Borrows.
  StageNeighbors(const Stages& stages, int first) : stages_(stages), first_(first) {}

  int count() const { return stages_.count() - first_; }
  int index() const { return stages_.index() - first_; }
  bool is_first() const { return index() == 0; }
  bool is_last() const { return stages_.is_last(); }

  void send_up(const std::vector<torch::Tensor>& tensors, std::string_view operation) const;
  void send_down(const std::vector<torch::Tensor>& tensors, std::string_view operation) const;
  std::vector<torch::Tensor> from_below(const std::vector<MessagePart>& parts, std::string_view operation) const;
  std::vector<torch::Tensor> from_above(const std::vector<MessagePart>& parts, std::string_view operation) const;

  // Waits until all that was sent is delivered.
  void deliver() const;

 private:
  std::vector<torch::Tensor> receive(int from, const std::vector<MessagePart>& parts,
                                     std::string_view operation) const;

  const Stages& stages_;
  int first_;
};

}  // namespace anchorage::worker
