// How the ranks of a replica share one model: each rank is a *stage* that holds some of its layers: a contiguous
// range, or where the model is edited two, one of the layers below the first edited one and one of those from it
// on. Hidden states go through the lower layers from the first stage to the last, then through the upper ones
// again.
//
// All stages of a replica make the same calls in the same order, each computing its own layers. A tensor lives on
// one stage at a time: on the others it is undefined. The stage that has what all stages need (tokens, scores,
// keys, values) broadcasts it. The optimizer's steps alone go another way:
// worker/editing/values/value_pipeline.hpp.
#pragma once

#include <torch/types.h>

#include <span>
#include <string_view>
#include <vector>

#include "sharding/collective/device_communicator.hpp"
#include "sharding/stage_layers.hpp"

namespace anchorage::worker {

class Stages {
 public:
  // One stage that holds the whole model.
  Stages() = default;

  // Stage s holds layers `layers_of[s]` and is rank s of `replica`. Borrows `replica`. Throws InternalError unless
  // hidden states can go through all layers as described above.
  Stages(std::vector<sharding::StageLayers> layers_of, sharding::DeviceCommunicator& replica);

  int count() const { return replica_ == nullptr ? 1 : replica_->size(); }
  int index() const { return replica_ == nullptr ? 0 : replica_->rank(); }
  bool is_first() const { return index() == 0; }      // has the embedding
  bool is_last() const { return index() == last(); }  // has final norm and head
  int last() const { return count() - 1; }

  int stage_of(std::int64_t layer) const;  // the stage that holds it
  bool holds(std::int64_t layer) const { return stage_of(layer) == index(); }
  // Returns the place of a layer that this stage holds among those that it holds.
  std::int64_t place_of(std::int64_t layer) const;
  // Returns what this stage holds of a model's `layers`.
  sharding::StageLayers own_layers(std::int64_t layers) const;
  // Returns the layer with which hidden states begin to go through the stages once more; `layers` where they go
  // through them once. In passes of several groups, do the layers below it for all groups first: stages then work
  // on different groups, and the first one does not wait for the last.
  std::int64_t second_pass(std::int64_t layers) const;
  // Returns the communicator between the stages; there must be several.
  sharding::DeviceCommunicator& replica() const { return *replica_; }

  // Counts matrix products in the activity that is open (sharding/activities.hpp).
  void count_products(double flops, double seconds) const {
    if (replica_ != nullptr && replica_->activities() != nullptr)
      replica_->activities()->count_products(flops, seconds);
  }
  // Opens an activity of this rank, for as long as the scope lasts (sharding/activities.hpp).
  sharding::Activities::Scope activity(std::string_view name) const {
    return {replica_ == nullptr ? nullptr : replica_->activities(), sharding::Activities::Kind::activity, name};
  }

  // Moves the tensor from stage `from` to stage `to`; does nothing where they are the same. `shape` and
  // `dtype` are the tensor's, which must not be written to after. Without gradients. Stage `from` does not wait for
  // stage `to`.
  torch::Tensor move(const torch::Tensor& tensor, int from, int to, torch::IntArrayRef shape,
                     torch::ScalarType dtype, std::string_view operation) const {
    return receive(send(tensor, from, to, shape, dtype, operation), from, to, shape, dtype, operation);
  }
  // The two parts of `move`: that of stage `from`, which keeps nothing, and that of stage `to`. Between two stages
  // tensors arrive in the order in which they were sent.
  torch::Tensor send(const torch::Tensor& tensor, int from, int to, torch::IntArrayRef shape,
                     torch::ScalarType dtype, std::string_view operation) const;
  torch::Tensor receive(const torch::Tensor& tensor, int from, int to, torch::IntArrayRef shape,
                        torch::ScalarType dtype, std::string_view operation) const;
  // Waits until all that this stage sent has arrived, and frees it: for the end of passes, when the other stages
  // will have received everything without another call of this one.
  void deliver() const;

  // Returns the tensor of stage `from` on every stage, without gradients.
  torch::Tensor broadcast(const torch::Tensor& tensor, int from, torch::IntArrayRef shape, torch::ScalarType dtype,
                          std::string_view operation,
                          sharding::Timeout timeout = sharding::Timeout::until_deadline) const;

  // Broadcasts tensors; the i-th lives on the stage of `layers[i]` (ascending), and all have this shape and dtype.
  // Takes one broadcast per stage that has some.
  std::vector<torch::Tensor> broadcast_layers(std::span<const std::int64_t> layers,
                                              std::vector<torch::Tensor> tensors, torch::IntArrayRef shape,
                                              torch::ScalarType dtype, std::string_view operation) const;

 private:
  // Returns the buffer of a broadcast: the tensor on stage `from`, an empty one elsewhere.
  torch::Tensor place_for(const torch::Tensor& tensor, int from, torch::IntArrayRef shape, torch::ScalarType dtype,
                          std::string_view operation) const;

  std::vector<sharding::StageLayers> layers_of_;
  sharding::DeviceCommunicator* replica_ = nullptr;
};

}  // namespace anchorage::worker
