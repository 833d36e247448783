// What a batch asks of the ranks: the model, the edits, and how many tokens one of its groups has in each pass.
//
// Numbers of tokens are estimates, from prompts of a typical length; everything else is exact.
#pragma once

#include <cstdint>

#include "coordinator/machine.hpp"
#include "io/hparams/hparams.hpp"
#include "io/model/model_config.hpp"
#include "sharding/range.hpp"
#include "sharding/stage_layers.hpp"

namespace anchorage::coordinator {

struct Workload {
  io::ModelConfig model;
  io::Hparams hparams;                  // without layers nothing is edited
  std::int64_t weight_bytes = 2;        // per weight, as loaded
  std::int64_t batch = 32;              // edits
  std::int64_t evaluations = 20;        // of an edit's loss and gradient; early stops are not counted
  std::int64_t locate_evaluations = 0;  // of these, before the anchors of the whole batch are selected
  // Of how many groups per replica is kept what is cached from one optimization to the next, and to the keys.
  std::int64_t kept_groups = 0;
  bool joint = true;        // layers write their own values at once (B-EAC), or one value in turn (MEMIT)
  bool null_space = false;  // updates are projected (AlphaEdit)

  [[nodiscard]] bool keeps_groups() const { return joint && locate_evaluations > 0; }  // where there is memory
  [[nodiscard]] std::int64_t edited_layers() const { return static_cast<std::int64_t>(hparams.layers.size()); }
  // Returns the layers below the first edited one; none where nothing is edited.
  [[nodiscard]] std::int64_t lower_layers() const { return hparams.layers.empty() ? 0 : hparams.layers.front(); }
  // Returns how many layers of `layers` an optimizer's step runs through: those after the first edited one.
  [[nodiscard]] std::int64_t step_layers(const sharding::StageLayers& layers) const;
  [[nodiscard]] std::int64_t edited_in(const sharding::StageLayers& layers) const;
};

// Norms of the residual stream in one layer, and of what is added to it; not those of heads.
[[nodiscard]] std::int64_t block_norms(const io::ModelConfig& model);

// Of one layer: attention, MLP and norms.
[[nodiscard]] std::int64_t layer_parameters(const io::ModelConfig& model);
// Of a stage's layers, with embedding and head where they belong to it, as loaded. A tied embedding is held once by
// each of the stages that need it. Exact.
[[nodiscard]] std::int64_t weight_bytes_of(const Workload& workload, const sharding::StageLayers& layers);
[[nodiscard]] bool has_head(const io::ModelConfig& model, const sharding::StageLayers& layers);

// Typical numbers of tokens of a group.
struct GroupTokens {
  std::int64_t edits = 1;       // of the group
  std::int64_t rows = 0;        // prompts
  std::int64_t steps = 0;       // from the subject's last token on
  std::int64_t predicted = 0;   // that go through the head in a step
  std::int64_t whole = 0;       // of whole rows
  std::int64_t prefix = 0;      // up to the subject's last token, in the contexts that are used
  std::int64_t candidates = 0;  // the same in all contexts that are tried
  std::int64_t bare = 0;        // of the bare prompts with their targets
  std::int64_t targets = 0;     // that are scored
  // For memory, which must also hold rows longer than typical.
  std::int64_t longest_whole = 0;
  std::int64_t longest_steps = 0;
};

// Tokens of the sentences on which the guard measures the loss, and in how many passes, once per batch: the loss
// before a batch is known from the one before.
inline constexpr std::int64_t probe_tokens = 240;
inline constexpr int probe_passes = 3;

[[nodiscard]] GroupTokens group_tokens(const Workload& workload, const Machine& machine);

}  // namespace anchorage::coordinator
