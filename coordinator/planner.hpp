// Plans which rank holds which layers and how many slabs of the least squares, and what a batch takes, from the
// model's config.json and the hyper-parameters alone, before anything is loaded.
#pragma once

#include <cstdint>
#include <optional>
#include <string>
#include <vector>

#include "coordinator/batch_schedule.hpp"
#include "coordinator/rank_memory.hpp"
#include "coordinator/workload.hpp"
#include "sharding/stage_layers.hpp"
#include "sharding/topology.hpp"

namespace anchorage::coordinator {

struct PlanRequest {
  Workload workload;
  Machine machine;
  int ranks = 1;
  int stages = 0;  // 0: the number that makes a batch fastest, of those that fit and divide the ranks
  std::string ranks_from = "--ranks";  // where their number comes from, for messages
};

struct RankPlan {
  sharding::Place place;
  sharding::StageLayers layers;
  std::int64_t slabs = 0;  // that it holds at most
  RankBytes bytes;
  ActivitySeconds busy;  // of a batch
};

struct Plan {
  sharding::Topology topology{1, 1};
  std::vector<sharding::StageLayers> stages;  // layers of each stage
  std::vector<RankPlan> ranks;
  std::int64_t group = 1, groups_in_flight = 1;  // edits per group; groups that a replica has in flight
  std::int64_t kept_groups = 0;                  // of which a replica keeps what is cached; at most all of a batch
  PlanSeconds seconds;                           // per batch, estimated
  double inverse_seconds = 0;                    // once a run: the first inverses, with AlphaEdit's eigenvectors
};

// Plans the ranks. Simulates a batch for each number of stages that fits and divides the ranks, and takes the
// fastest; of those within 2 % of it the one of fewest stages. Throws io::UserError where nothing fits, or where
// the stages do not divide the ranks; the message says what would fit.
[[nodiscard]] Plan plan_ranks(const PlanRequest& request);

// Returns what `plan_ranks` would; nothing where it would throw because nothing fits or nothing divides the ranks.
[[nodiscard]] std::optional<Plan> find_plan(const PlanRequest& request);

// Returns the boxes of the batch that was planned. Throws io::UserError where there would be more than a million.
[[nodiscard]] std::vector<RankBox> trace_of(const Plan& plan, const PlanRequest& request);

// Returns the seconds of a batch of one rank whose memory has no limit: what efficiency is measured by.
[[nodiscard]] double seconds_of_one_rank(const PlanRequest& request);
// Returns what share of its ranks a plan makes use of, given those seconds.
[[nodiscard]] double efficiency_of(const Plan& plan, double of_one_rank);

}  // namespace anchorage::coordinator
