// Plans which rank holds which layers, who owns which edited layer, and what a batch takes, from the model's
// config.json and the hyper-parameters alone, before anything is loaded.
#pragma once

#include <cstdint>
#include <map>
#include <string>
#include <vector>

#include "coordinator/stage_costs.hpp"
#include "sharding/range.hpp"
#include "sharding/topology.hpp"

namespace anchorage::coordinator {

struct PlanRequest {
  Workload workload;
  Machine machine;
  int ranks = 1;
  int stages = 0;                      // 0: as few as fit and divide the ranks into whole replicas
  std::string ranks_from = "--ranks";  // where their number comes from, for messages
};

struct RankPlan {
  sharding::Place place;
  sharding::Range layers;
  std::vector<int> owns;  // edited layers
  RankBytes bytes;
};

struct PlanSeconds {
  double values = 0, solve = 0, communicate = 0, evaluate = 0;
  [[nodiscard]] double total() const { return values + solve + communicate + evaluate; }
};

struct Plan {
  sharding::Topology topology{1, 1};
  std::vector<sharding::Range> stages;  // layers of each stage
  std::vector<RankPlan> ranks;
  std::int64_t group = 1, groups_in_flight = 1;  // edits per group; groups that a replica has in flight
  PlanSeconds seconds;                           // per batch, estimated
};

// Plans the ranks. Throws io::UserError where nothing fits, or where the stages do not divide the ranks; the
// message says what would fit.
[[nodiscard]] Plan plan_ranks(const PlanRequest& request);

}  // namespace anchorage::coordinator
