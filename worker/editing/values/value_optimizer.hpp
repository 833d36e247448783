// Finds, for each edit of a group, the vectors that make the model say its target when added to the residual
// stream.
//
//   J_i(D) = nll_i + kl_factor * KL_i + v_weight_decay * |D_i| / |z_i|^2   [+ eac_l1 * sum |D_ij| / (s_ij + eps)]
//
// under |D_i| <= clamp_norm_factor * |z_i| (docs/method.md section 1; MEMIT, arXiv 2210.07229, and EAC, arXiv
// 2503.00035). Edits of different subjects are independent of each other: in a group each gets the values that it
// would get alone, up to rounding. Those of one subject share a value (shared_values.hpp). Give all groups of a
// replica in one call: they go through its stages one after the other (value_pipeline.hpp). The values of a group
// depend on nothing outside it. Collective over the model's stages, all of which get the results.
#pragma once

#include <memory>

#include "io/hparams/hparams.hpp"
#include "worker/editing/values/group_search.hpp"

namespace anchorage::worker {

// Values are [E, m, d] f32 for E edits and m injected layers. Functions return one result per group.

// Runs Adam or normalized gradient descent (`v_optimizer`) for at most `v_num_grad_steps` evaluations;
// returns the values of each edit's last evaluation, and the losses there.
std::vector<FoundValues> optimize_values(std::vector<InjectedForward> groups, const io::Hparams& hparams);

// The result of phase 1 of EAC and B-EAC: `eac_locate_steps` dense steps.
struct LocatedValues {
  torch::Tensor dense;     // the values after the last step
  torch::Tensor saliency;  // [E, m, d] f32, weighted-gradient saliency |mean gradient of the steps * D|
  std::shared_ptr<const InjectedForward> forward{};  // with its caches filled, of the first `kept` groups
};
std::vector<LocatedValues> locate_anchors(std::vector<InjectedForward> groups, const io::Hparams& hparams,
                                          std::int64_t kept = 0);

// Phase 2: runs `eac_compress_steps` steps on the anchors only, with the scored elastic net in the loss.
// `anchors` [E, m, d] f32, 0 or 1, one tensor per group. A group whose caches are filled does not fill them again.
std::vector<FoundValues> compress_to_anchors(std::vector<InjectedForward> groups, const io::Hparams& hparams,
                                             std::span<const LocatedValues> located,
                                             std::span<const torch::Tensor> anchors);

// EAC: runs both phases; anchors are the share `eac_anchor_ratio` of entries with the highest saliency.
std::vector<FoundValues> optimize_anchored_values(std::vector<InjectedForward> groups, const io::Hparams& hparams);

}  // namespace anchorage::worker
