// One group of edits, the unit of computation: one replica computes it whole, and the results depend on
// nothing outside the group.
//
// A group holds its edits' prompts in the contexts that are used, their value vectors, and what the edited
// layers see of the prompts as the weights change. Its calls are collective over the model's stages, which
// all get the same results.
#pragma once

#include <memory>
#include <span>
#include <string>
#include <vector>

#include "io/hparams/hparams.hpp"
#include "worker/editing/values/context_choice.hpp"
#include "worker/editing/values/shared_values.hpp"
#include "worker/editing/values/value_optimizer.hpp"

namespace anchorage::worker {

class EditGroup {
 public:
  // Makes the groups of a replica, each of these edits, with their contexts chosen (context_choice.hpp) and the end
  // of text in the targets that are to have it (the first of the config's eos_ids). Borrows all but the edits.
  // Collective over the stages.
  static std::vector<EditGroup> make(const Transformer& model, const PromptBuilder& builder,
                                     const Contexts& contexts, const SinkLimits& limits, const io::Hparams& hparams,
                                     std::vector<std::vector<io::Edit>> edits);

  // Returns the accepted edits as indices into the given ones. An edit without a usable context, or whose
  // value is not finite, is refused with a reason.
  const std::vector<std::int64_t>& accepted() const { return accepted_; }
  const std::vector<std::string>& refusals() const { return refusals_; }  // one per given edit; empty when accepted

  // Values are found for all groups of a replica at once, so that its stages always have one to work on.
  using GroupSpan = std::span<EditGroup>;

  // Finds one value vector per edit, injected after the last edited layer; `anchored`: compressed to its
  // anchors (EAC). Edits of one subject share it (shared_values.hpp).
  static void find_values(GroupSpan groups, bool anchored);

  // Find one vector per edit and edited layer (m layers), each injected after its layer: dense, or in two
  // phases with the selection of anchors between them (B-EAC). `anchors` [accepted of all groups, m, d] f32
  // of 0 and 1; edits that share their values take those of the first of them. What the model computes of a group
  // whatever is injected is kept from the first phase on, of the first `kept` groups that have edits, until
  // `injected_keys`; of the others it is computed again, to the same bits. All stages keep as many.
  static void find_joint_values(GroupSpan groups);
  static void locate_anchors(GroupSpan groups, std::int64_t kept = 0);
  static void compress_to_anchors(GroupSpan groups, const torch::Tensor& anchors);

  // Return, after the first phase, the saliency of each entry, which sums to 1 per edit, [accepted, m, d]
  // f32; after the second phase, that of the anchors.
  const torch::Tensor& saliency() const { return saliency_; }
  torch::Tensor anchor_saliency() const;
  // After the first phase, the saliency by which anchors are selected: zeros for an edit that takes those of
  // another.
  torch::Tensor selecting_saliency() const;

  // Returns the values found: [accepted, 1 or m, d] f32; m where no edit is accepted.
  torch::Tensor values() const;
  // Returns the losses with the values added, before anything is written: FoundValues::losses [accepted, 2].
  torch::Tensor value_losses() const;
  // Returns for each group the keys of the edited layers with the joint values injected, averaged over contexts: m
  // tensors [accepted, f]. Once, after the values are found.
  static std::vector<std::vector<torch::Tensor>> injected_keys(GroupSpan groups);

  // Return averages over each edit's contexts, on the current weights.
  torch::Tensor keys(std::int64_t layer) const;  // [accepted, f] f32
  std::vector<torch::Tensor> keys() const;       // of every edited layer
  torch::Tensor residual_stream() const;         // [accepted, d] f32, after the last edited layer
  torch::Tensor target_stream() const;           // the same, with the first of the values added
  // Those of SubjectActivations::norm_slopes, [accepted, 2, d] f32; undefined where no norm follows the MLP.
  torch::Tensor norm_slopes(std::int64_t layer) const;

 private:
  EditGroup(const Transformer& model, const io::Hparams& hparams, std::vector<io::Edit> edits);
  void average_over_contexts();
  InjectedForward forward_with(std::vector<std::int64_t> injected_layers) const;
  static std::vector<EditGroup*> those_with_edits(GroupSpan groups);
  static std::vector<InjectedForward> joint_forwards(const std::vector<EditGroup*>& groups);
  static void take(const std::vector<EditGroup*>& groups, std::vector<FoundValues> found);
  SharedValues shared_values() const;
  void refuse_what_is_not_finite();
  torch::Tensor mean_over_contexts(const torch::Tensor& rows) const;

  const Transformer& model_;
  const io::Hparams& hparams_;
  std::vector<std::int64_t> layers_;  // the edited layers
  std::vector<io::Edit> edits_;
  std::vector<std::string> refusals_;
  std::vector<std::int64_t> accepted_;
  std::vector<EditPrompts> prompts_;  // of the accepted edits
  std::unique_ptr<SubjectActivations> subjects_;
  torch::Tensor averages_;  // [accepted, rows] f32: 1 / (contexts of the edit) at its rows
  torch::Tensor values_;    // [accepted, 1 or m, d]
  torch::Tensor losses_;    // [accepted, 2] f32
  LocatedValues located_;
  std::unique_ptr<InjectedForward> of_keys_;  // its caches filled, where they were kept
  torch::Tensor saliency_, anchors_;          // [accepted, m, d]
};

}  // namespace anchorage::worker
