// Reports what each rank's time went into during an edit run (sharding/activities.hpp).
#pragma once

#include <cstddef>
#include <nlohmann/json.hpp>
#include <string>
#include <vector>

#include "io/trace/chrome_trace.hpp"
#include "launch/program/session.hpp"

namespace anchorage::launch {

// Activities and waits that a trace keeps, of all ranks together: about 100 MB of JSON, as much as browsers show.
inline constexpr std::size_t most_trace_boxes = 1'000'000;

// Starts the counting on all ranks at once: zero is the moment in which a barrier has let them go. With `traced`,
// keeps what a trace shows; with `counts_kernels`, counts those of a GPU. Collective.
void start_activities(Session& session, bool traced, bool counts_kernels);

struct ActivityReport {
  // One element a rank, in their order: {"rank", "stage", "replica", "busy", "seconds", "activities": {NAME:
  // seconds}, "waits": {OPERATION: seconds}, "idle"}.
  nlohmann::json ranks;
  io::Trace trace;  // of a traced run
};

// Returns what all ranks counted on rank 0, nothing elsewhere. Call it after Activities::stop. Collective.
ActivityReport gather_activities(Session& session);

// Logs one line a rank: its busy share by activity, and what it waited for longest.
void log_activities(const nlohmann::json& ranks);

}  // namespace anchorage::launch
