#include "coordinator/stage_costs.hpp"

namespace anchorage::coordinator {

// Counts two operations for each weight and token.
double StageCosts::layers(std::int64_t count, std::int64_t tokens) const {
  return 2 * static_cast<double>(count * tokens) * static_cast<double>(layer_parameters(workload_.model)) /
         machine_.flops_of_pass(tokens);
}

double StageCosts::head(std::int64_t predicted) const {
  return 2 * static_cast<double>(predicted) *
         static_cast<double>(workload_.model.vocabulary * workload_.model.d_model) /
         machine_.flops_of_pass(predicted);
}

double StageCosts::hop(std::int64_t tokens) const {
  return machine_.link_latency +
         static_cast<double>(tokens * workload_.model.d_model * workload_.weight_bytes) / machine_.link_bytes;
}

StepSeconds StageCosts::step(const sharding::StageLayers& stage) const {
  const bool last = has_head(workload_.model, stage);
  const std::int64_t upper = stage.size() - stage.below(workload_.lower_layers());
  const double forward = layers(workload_.step_layers(stage), tokens_.steps) + (last ? head(tokens_.predicted) : 0);
  return {.setup = layers(upper, tokens_.whole) + (last ? head(tokens_.edits) : 0),
          .forward = forward,
          .backward = forward};
}

// Whole rows run once more where layers are written jointly, for the keys with the values injected.
double StageCosts::upper_seconds(const sharding::StageLayers& upper) const {
  const StepSeconds one = step(upper);
  const auto evaluations = static_cast<double>(workload_.evaluations),
             setups = static_cast<double>(optimizations() + (workload_.joint ? 1 : 0));
  const double scores =
      layers(upper.size(), tokens_.bare) + (has_head(workload_.model, upper) ? head(tokens_.targets) : 0);
  return evaluations * one.forward + (evaluations - 1) * one.backward + setups * one.setup + 2 * scores;
}

double StageCosts::lower_seconds(std::int64_t count) const {
  const std::int64_t setups = optimizations() + (workload_.joint ? 1 : 0);
  return layers(count, tokens_.candidates + setups * tokens_.whole + 2 * tokens_.bare);
}

}  // namespace anchorage::coordinator
