// Computes the seconds of what a stage does for one group of edits. Estimates, from prompts of typical length and
// from what a machine sustains. Pure functions of config and hyper-parameters; no weights are needed.
#pragma once

#include <cstdint>
#include <vector>

#include "coordinator/pipeline_schedule.hpp"
#include "coordinator/workload.hpp"
#include "sharding/stage_layers.hpp"

namespace anchorage::coordinator {

class StageCosts {
 public:
  // Borrows the workload.
  StageCosts(const Workload& workload, const Machine& machine)
      : workload_(workload), machine_(machine), tokens_(group_tokens(workload, machine)) {}

  [[nodiscard]] const GroupTokens& tokens() const { return tokens_; }

  // Return the seconds of a forward pass of `tokens` through so many layers; of the head for `predicted` of them;
  // and of their hidden states on their way to the next stage.
  [[nodiscard]] double layers(std::int64_t count, std::int64_t tokens) const;
  [[nodiscard]] double head(std::int64_t predicted) const;
  [[nodiscard]] double hop(std::int64_t tokens) const;

  // Returns the seconds of a step and of what precedes a group's first one. A backward pass takes as long as the
  // forward pass, since frozen weights need no gradients.
  [[nodiscard]] StepSeconds step(const sharding::StageLayers& stage) const;

  // Return the seconds of a group from its prompts to its values, without the layers below the first edited one;
  // and of its passes through those, all over the batch. What cuts are compared by.
  [[nodiscard]] double upper_seconds(const sharding::StageLayers& upper) const;
  [[nodiscard]] double lower_seconds(std::int64_t layers) const;

  // How often whole rows run before steps, for each group: once each time that values are optimized.
  [[nodiscard]] std::int64_t optimizations() const { return workload_.locate_evaluations > 0 ? 2 : 1; }

 private:
  const Workload& workload_;
  Machine machine_;
  GroupTokens tokens_;
};

}  // namespace anchorage::coordinator
