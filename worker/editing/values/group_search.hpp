// The search for the values of one group of edits, as one stage of a replica takes part in it.
//
// An evaluation of the group's loss goes forward through all stages that take part and, but for the last one of a
// search, backward through them:
//
// - Forward, a stage gets what left the stage before, with the vectors of the layers from its own on, and runs its
//   own layers.
// - The last stage has the losses and decides which edits continue, before anything goes backward.
// - Backward, a stage gets the gradient of what left it, with those of the vectors of the stages after it and the
//   decision, and drops the edits that have converged from its tensors.
// - The first stage then has the gradients of all vectors. It alone has the optimizer's state, and takes the step.
//
// Edits that share a value (shared_values.hpp) take the same steps, along the mean of their gradients, with the
// mean of their norms, and leave together: when all of them have converged.
//
// What a stage computes depends on the group alone, so the values are the same bits however many groups are in
// flight and on however many stages.
#pragma once

#include <functional>
#include <memory>
#include <vector>

#include "worker/editing/values/injected_forward.hpp"
#include "worker/editing/values/shared_values.hpp"
#include "worker/editing/values/stage_neighbors.hpp"
#include "worker/editing/values/update_rule.hpp"

namespace anchorage::worker {

// A part of a search. With `until_converged`, a converged edit leaves the group's tensors while the others
// continue, and the result is the last evaluated point; without it, every edit takes all steps, and the result is
// the point after the last step.
struct SearchPhase {
  std::int64_t evaluations = 1;
  bool until_converged = true;
  bool anchored = false;  // the start has l1_weights
  // Called on the first stage, with the search of the phase before, or none.
  std::function<SearchStart(const PointSearch* before)> start;
};

// What a search has found. Where its last phase is `until_converged`: the values of each edit's last evaluation
// [E, m, d] f32, and the losses there [E, 2] f32, nll and matches (InjectedLoss). Otherwise: the values after the
// last step, and after them their mean gradient, [E, 2 m, d], and no losses.
struct FoundValues {
  torch::Tensor values, losses;
};

class GroupSearch {
 public:
  // At least one phase; edits leave in the last one alone. Borrows the hyper-parameters.
  GroupSearch(InjectedForward forward, const io::Hparams& hparams, std::vector<SearchPhase> phases);

  // Run the pass to the first injected layer, unless the caches are filled; see InjectedForward.
  void begin();
  void arrive();

  // Evaluate: forward through this stage's layers, the first time after filling the caches; and backward, which
  // makes the step where that is due. For stages that take part, by turns, each as often as the other until the
  // search is done on this stage.
  void go_forward(const StageNeighbors& neighbors);
  void go_backward(const StageNeighbors& neighbors);
  bool is_done() const { return phase_ == phases_.size(); }
  // Frees the model's tensors.
  void release() { forward_.reset(); }
  // Returns, of a search that is done and that no edit has left, its forward pass with the caches filled, for
  // another search of the group; on stages that take no part too.
  InjectedForward take_forward();

  // Return, when it is done, FoundValues::values on the first stage, and FoundValues::losses on the last.
  torch::Tensor values() const;
  const torch::Tensor& losses() const { return losses_; }
  bool has_losses() const { return phases_.back().until_converged; }
  // Returns the shape of `values`.
  std::vector<std::int64_t> values_shape() const;

 private:
  const SearchPhase& phase() const { return phases_[phase_]; }
  void fill_caches(const StageNeighbors& neighbors);
  std::vector<torch::Tensor> entering(const StageNeighbors& neighbors) const;
  torch::Tensor decide() const;
  SharedValues shared_values() const;
  bool has_way_back() const { return !phase().until_converged || evaluated_ < phase().evaluations; }
  // The gradients of what entered, where something did, and of the vectors of own slots.
  std::vector<torch::Tensor> gradients_at_stage(const StageNeighbors& neighbors,
                                                const torch::Tensor& leaving) const;
  void keep_losses();
  void drop_all_but(const torch::Tensor& continues);
  void drop_evaluation();
  void end_phase();

  std::unique_ptr<InjectedForward> forward_;
  const io::Hparams& hparams_;
  std::vector<SearchPhase> phases_;
  SharedValues shared_;              // of the edits that remain
  std::vector<std::int64_t> shape_;  // [E, m, d]
  std::size_t phase_ = 0;
  std::int64_t evaluated_ = 0;           // in this phase
  bool norms_shared_ = false;            // between the stages
  std::unique_ptr<PointSearch> search_;  // on the first stage
  // The evaluation in flight: what entered, this stage's vectors, what left or the loss of it, and the penalty's
  // terms.
  torch::Tensor entering_, vectors_, leaving_;
  InjectedLoss loss_;
  Penalty penalty_;
  // On the last stage: the losses of every edit's last evaluation, and the rows of those that remain.
  torch::Tensor losses_, rows_;
};

}  // namespace anchorage::worker
