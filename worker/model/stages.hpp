// How the ranks of a replica share one model: each is a *stage* that holds a contiguous range of its layers.
//
// All stages of a replica make the same calls in the same order, each computing its own layers. A tensor lives on
// one stage at a time: on the others it is undefined, or empty where gradients are to find their way back. What all
// stages need to know (tokens, scores, keys) the stage that has it shares; what only stages from some layer on need
// to know (an optimizer's losses and gradients) is shared among these, and the stages before make no such calls.
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

  // Stage s holds layers `layers_of[s]` and is rank s of `replica`, which is borrowed.
  Stages(std::vector<sharding::Range> layers_of, sharding::DeviceCommunicator& replica);

  int count() const { return replica_ == nullptr ? 1 : replica_->size(); }
  int index() const { return replica_ == nullptr ? 0 : replica_->rank(); }
  bool is_first() const { return index() == 0; }      // has the embedding
  bool is_last() const { return index() == last(); }  // has final norm and head
  int last() const { return count() - 1; }

  int stage_of(std::int64_t layer) const;  // the stage that holds it
  bool holds(std::int64_t layer) const { return stage_of(layer) == index(); }
  // Those that this stage holds of a model's `layers`.
  sharding::Range own_layers(std::int64_t layers) const;

  // The tensor that lives on stage `from` comes to live on stage `to`; nothing where they are the same. `shape` and
  // `dtype` are its own. While gradients are recorded, backward() on what the stages then have sends the gradient
  // the way back; it is to be called on all of them.
  torch::Tensor move(const torch::Tensor& tensor, int from, int to, torch::IntArrayRef shape,
                     torch::ScalarType dtype, std::string_view operation) const;

  // The tensor that lives on stage `from`, on every stage. Without gradients.
  torch::Tensor broadcast(const torch::Tensor& tensor, int from, torch::IntArrayRef shape, torch::ScalarType dtype,
                          std::string_view operation,
                          sharding::Timeout timeout = sharding::Timeout::until_deadline) const;

  // The same on the stages from `first` on, which alone make the call.
  torch::Tensor broadcast_from(int first, const torch::Tensor& tensor, int from, torch::IntArrayRef shape,
                               torch::ScalarType dtype, std::string_view operation) const;

  // Tensors of which the i-th lives on the stage of `layers[i]` (ascending), all of this shape and dtype, on the
  // stages from `first` on: one call a stage that has some.
  std::vector<torch::Tensor> broadcast_layers_from(int first, std::span<const std::int64_t> layers,
                                                   std::vector<torch::Tensor> tensors, torch::IntArrayRef shape,
                                                   torch::ScalarType dtype, std::string_view operation) const;

 private:
  // What a stage gives of a shared tensor, and where the others get it.
  torch::Tensor place_for(const torch::Tensor& tensor, int from, torch::IntArrayRef shape, torch::ScalarType dtype,
                          std::string_view operation) const;

  std::vector<sharding::Range> layers_of_;
  sharding::DeviceCommunicator* replica_ = nullptr;
};

}  // namespace anchorage::worker
