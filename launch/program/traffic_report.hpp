// Reports the traffic between the ranks of a session, by the operations' names.
#pragma once

#include <nlohmann/json.hpp>

#include "launch/program/session.hpp"

namespace anchorage::launch {

// Returns {"host": {OPERATION: {"calls", "bytes", "seconds", "longest"}}, "replicas": ..., "stages": ...} on
// rank 0, null elsewhere. "host" covers commands and all other exchange between all ranks, "replicas" and
// "stages" the traffic between replicas and between the stages of a replica. Calls, bytes and seconds are
// summed over the ranks, each as it saw them (sharding::Traffic); longest: the seconds of the rank that spent
// most. Collective; waits ten deadlines for ranks that are still at work.
nlohmann::json gather_traffic(Session& session);

// Logs the sum and the longest waits, and with --verbose every operation.
void log_traffic(const nlohmann::json& traffic);

}  // namespace anchorage::launch
