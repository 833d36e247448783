// How the ranks of a replica share one model: each rank is a *stage* that holds a contiguous range of its
// layers.
//
// All stages of a replica make the same calls in the same order, each computing its own layers. A tensor
// lives on one stage at a time: on the others it is undefined, or empty where it carries the graph for the
// gradient's way back. The stage that has what all stages need (tokens, scores, keys) broadcasts it; what
// only the stages from some layer on need (an optimizer's losses and gradients) is broadcast among these, and
// the stages before them do not make these calls.
#pragma once

#include <torch/types.h>

#include <span>
#include <string_view>
#include <vector>

#include "sharding/collective/device_communicator.hpp"
#include "sharding/range.hpp"

namespace anchorage::worker {

class Stages {
 public:
  // One stage that holds the whole model.
  Stages() = default;

  // Stage s holds layers `layers_of[s]` and is rank s of `replica`. Borrows `replica`.
  Stages(std::vector<sharding::Range> layers_of, sharding::DeviceCommunicator& replica);

  int count() const { return replica_ == nullptr ? 1 : replica_->size(); }
  int index() const { return replica_ == nullptr ? 0 : replica_->rank(); }
  bool is_first() const { return index() == 0; }      // has the embedding
  bool is_last() const { return index() == last(); }  // has final norm and head
  int last() const { return count() - 1; }

  int stage_of(std::int64_t layer) const;  // the stage that holds it
  bool holds(std::int64_t layer) const { return stage_of(layer) == index(); }
  // Returns the range that this stage holds of a model's `layers`.
  sharding::Range own_layers(std::int64_t layers) const;

  // Opens an activity of this rank, for as long as the scope lasts (sharding/activities.hpp).
  sharding::Activities::Scope activity(std::string_view name) const {
    return {replica_ == nullptr ? nullptr : replica_->activities(), sharding::Activities::Kind::activity, name};
  }

  // Moves the tensor from stage `from` to stage `to`; does nothing where they are the same. `shape` and
  // `dtype` are the tensor's. While gradients are recorded, backward() on the returned tensors sends the
  // gradient back; call it on all stages.
  torch::Tensor move(const torch::Tensor& tensor, int from, int to, torch::IntArrayRef shape,
                     torch::ScalarType dtype, std::string_view operation) const;

  // Returns the tensor of stage `from` on every stage, without gradients.
  torch::Tensor broadcast(const torch::Tensor& tensor, int from, torch::IntArrayRef shape, torch::ScalarType dtype,
                          std::string_view operation,
                          sharding::Timeout timeout = sharding::Timeout::until_deadline) const;

  // Returns it on the stages from `first` on; only these make the call.
  torch::Tensor broadcast_from(int first, const torch::Tensor& tensor, int from, torch::IntArrayRef shape,
                               torch::ScalarType dtype, std::string_view operation) const;

  // Broadcasts tensors among the stages from `first` on; the i-th lives on the stage of `layers[i]`
  // (ascending), and all have this shape and dtype. Takes one broadcast per stage that has some.
  std::vector<torch::Tensor> broadcast_layers_from(int first, std::span<const std::int64_t> layers,
                                                   std::vector<torch::Tensor> tensors, torch::IntArrayRef shape,
                                                   torch::ScalarType dtype, std::string_view operation) const;

 private:
  // Returns the buffer of a broadcast: the tensor on stage `from`, an empty one elsewhere.
  torch::Tensor place_for(const torch::Tensor& tensor, int from, torch::IntArrayRef shape, torch::ScalarType dtype,
                          std::string_view operation) const;

  std::vector<sharding::Range> layers_of_;
  sharding::DeviceCommunicator* replica_ = nullptr;
};

}  // namespace anchorage::worker
