// Says what would make a plan faster: other batches, groups or stages, each tried by planning it.
#pragma once

#include <string>
#include <vector>

#include "coordinator/planner.hpp"

namespace anchorage::coordinator {

// Counts the replicas that get no group of edits.
[[nodiscard]] std::int64_t idle_replicas(const Plan& plan, const PlanRequest& request);

// Returns one sentence for each change that takes more than a twentieth off the seconds of an edit, or with stages
// that were requested, off those of a batch; and one where replicas are idle.
[[nodiscard]] std::vector<std::string> advice_for(const Plan& plan, const PlanRequest& request);

}  // namespace anchorage::coordinator
