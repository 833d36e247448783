// Figures of a service in Prometheus' text format (docs/operations.md, "Metrics").
#pragma once

#include <string>

#include "coordinator/service/run_state.hpp"

namespace anchorage::coordinator {

struct ServerFigures {
  std::size_t connections = 0, event_clients = 0;
  std::int64_t exports_written = 0, exports_failed = 0;
};

std::string metrics_text(const RunState& state, const ServerFigures& server);

}  // namespace anchorage::coordinator
