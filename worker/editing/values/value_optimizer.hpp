// Finds, for each edit of a group, the vectors that make the model say its target when added to the residual
// stream.
//
//   J_i(D) = nll_i + kl_factor * KL_i + v_weight_decay * |D_i| / |z_i|^2   [+ eac_l1 * sum |D_ij| / (s_ij + eps)]
//
// under |D_i| <= clamp_norm_factor * |z_i| (docs/method.md section 1; MEMIT, arXiv 2210.07229, and EAC, arXiv
// 2503.00035). Edits are independent of each other: a group gives what each of its edits would give alone, to
// rounding. Several groups are in flight at the same time, for the stages of a replica to work on (LossEvaluation);
// what a group gives depends on nothing outside it. Collective over the model's stages, all of which get the
// results.
#pragma once

#include "io/hparams/hparams.hpp"
#include "worker/editing/values/injected_forward.hpp"

namespace anchorage::worker {

// Values are [E, m, d] f32 of E edits and m injected layers, those of the last evaluated step. One result a group.

// Adam or normalized gradient descent (`v_optimizer`) for `v_num_grad_steps` evaluations.
std::vector<torch::Tensor> optimize_values(std::vector<InjectedForward> groups, const io::Hparams& hparams);

// Phase 1 of EAC and B-EAC: `eac_locate_steps` dense steps.
struct LocatedValues {
  torch::Tensor dense;     // the values after the last step
  torch::Tensor saliency;  // [E, m, d] f32, weighted-gradient saliency |mean gradient of the steps * D|
};
std::vector<LocatedValues> locate_anchors(std::vector<InjectedForward> groups, const io::Hparams& hparams);

// Phase 2: `eac_compress_steps` on the anchors alone, with the scored elastic net in the loss. `anchors` [E, m, d]
// f32, 0 or 1, one of each group.
std::vector<torch::Tensor> compress_to_anchors(std::vector<InjectedForward> groups, const io::Hparams& hparams,
                                               std::span<const LocatedValues> located,
                                               std::span<const torch::Tensor> anchors);

// EAC: both phases; anchors are the `eac_anchor_ratio` of entries with the highest saliency.
std::vector<torch::Tensor> optimize_anchored_values(const std::vector<InjectedForward>& groups,
                                                    const io::Hparams& hparams);

}  // namespace anchorage::worker
