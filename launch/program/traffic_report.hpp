// What went between the ranks of a session, by the operations' names.
#pragma once

#include <nlohmann/json.hpp>

#include "launch/program/session.hpp"

namespace anchorage::launch {

// {"host": {OPERATION: {"calls", "bytes", "seconds", "longest"}}, "replicas": ..., "stages": ...} on rank 0, null
// elsewhere: commands and what else all ranks tell each other, what goes between replicas, and between the stages
// of a replica. Calls, bytes and seconds are summed over the ranks, each as it saw them (sharding::Traffic);
// longest: the seconds of the rank that spent most. Collective; waits ten deadlines for ranks that are still at
// work.
nlohmann::json gather_traffic(Session& session);

// The sum and the longest waits, and with --verbose every operation.
void log_traffic(const nlohmann::json& traffic);

}  // namespace anchorage::launch
