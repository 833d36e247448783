// Predicts a batch, from its edits to its acceptance: which stage and which rank does what, and when.
#pragma once

#include <vector>

#include "coordinator/activity.hpp"
#include "coordinator/pipeline_schedule.hpp"
#include "coordinator/slab_costs.hpp"
#include "coordinator/stage_costs.hpp"
#include "sharding/stage_layers.hpp"
#include "sharding/topology.hpp"

namespace anchorage::coordinator {

// Of a whole batch, by what all ranks are at.
struct PlanSeconds {
  double values = 0;       // from the prompts to the values and keys
  double solve = 0;        // products, updates and their acceptance
  double communicate = 0;  // gathers and broadcasts between all ranks
  double evaluate = 0;     // scores before and after, and the guard's loss
  [[nodiscard]] double total() const { return values + solve + communicate + evaluate; }
};

// A time in which a rank works.
struct RankBox {
  int rank = 0;
  Activity activity = Activity::forward;
  double start = 0, duration = 0;  // seconds
};

struct BatchSchedule {
  PlanSeconds seconds;
  std::vector<ActivitySeconds> busy;  // of each rank
  std::vector<RankBox> boxes;         // by rank, where they were asked for
};

struct BatchShape {
  const Workload& workload;
  const StageCosts& costs;
  const SlabCosts& slabs;
  sharding::Topology topology;
  const std::vector<sharding::StageLayers>& stages;
};

// All ranks wait for each other where keys, values or scores are gathered; between these, each replica works on its
// own groups.
[[nodiscard]] BatchSchedule schedule_batch(const BatchShape& shape, Boxes boxes = Boxes::left_out);

// Returns how many boxes there would be.
[[nodiscard]] std::int64_t count_boxes(const BatchShape& shape);

}  // namespace anchorage::coordinator
