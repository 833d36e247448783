// Simulates the stages of one replica at work on its groups: a pure function of how long each stage takes for each
// part, for plans and for their traces. The order of a stage's work is sharding/stage_turns.hpp's.
#pragma once

#include <cstdint>
#include <vector>

#include "coordinator/activity.hpp"

namespace anchorage::coordinator {

// Seconds of one stage for one group.
struct StepSeconds {
  double setup = 0;  // once a group, before its first forward pass
  double forward = 0, backward = 0;
};

struct StepPipeline {
  std::vector<StepSeconds> stages;  // at least one; the last one's with the head
  double hop = 0, setup_hop = 0;    // seconds of a message to the next stage: of a step, of a setup
  std::int64_t groups = 1;          // of the replica
  std::int64_t in_flight = 1;       // G
  std::int64_t evaluations = 1;     // forward and backward passes of each group
  bool ends_forward = false;  // a group's last evaluation has no backward pass: its values are those evaluated
};

struct PassPipeline {
  std::vector<double> stages;  // seconds of one group on each stage
  double hop = 0;
  std::int64_t groups = 1;
  Activity activity = Activity::pass;
};

// A time in which a stage works.
struct Box {
  int stage = 0;
  Activity activity = Activity::forward;
  double start = 0, duration = 0;  // seconds
};

struct Timeline {
  double makespan = 0;                // seconds
  std::vector<ActivitySeconds> busy;  // of each stage
  std::vector<Box> boxes;             // in the order of each stage, where they were asked for
};

enum class Boxes { left_out, recorded };

// Without boxes, the time of many groups is extended from that of some, which in a steady pipeline loses nothing
// that matters. Throw InternalError unless there are stages, slots and, but for 0 groups, evaluations.
[[nodiscard]] Timeline run_steps(const StepPipeline& pipeline, Boxes boxes = Boxes::left_out);
[[nodiscard]] Timeline run_passes(const PassPipeline& pipeline, Boxes boxes = Boxes::left_out);

}  // namespace anchorage::coordinator
