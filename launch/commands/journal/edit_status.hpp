// What happened to an edit since its batch.
#pragma once

#include <string>

#include "coordinator/recorded_edits.hpp"

namespace anchorage::launch {

// Returns "live", "set aside", "removed in 5" or "superseded in 5".
std::string status_of(const coordinator::RecordedEdit& edit);

}  // namespace anchorage::launch
