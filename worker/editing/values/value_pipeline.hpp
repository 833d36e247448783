// Takes the searches of all groups of a replica through its stages (sharding/stage_turns.hpp).
#pragma once

#include <span>
#include <vector>

#include "worker/editing/values/group_search.hpp"

namespace anchorage::worker {

// Runs all searches to their end; returns what they found, on every stage. Collective over the stages. The stages
// take the groups in one fixed order, several in flight; stages before that of the first injected layer run only
// the pass to it and wait for the results. Searches of groups with the same injected layers, at least one. The
// first `kept` searches still have their forward passes afterwards.
std::vector<FoundValues> run_searches(std::vector<GroupSearch>& searches, const Stages& stages, int first_stage,
                                      std::int64_t evaluations, std::int64_t kept = 0);

}  // namespace anchorage::worker
