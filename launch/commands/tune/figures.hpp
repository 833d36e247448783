// The trace, settings and figures of trials as JSON: as they are kept and printed.
#pragma once

#include <cstdint>
#include <nlohmann/json.hpp>
#include <vector>

#include "launch/commands/tune/search.hpp"

namespace anchorage::launch {

// worker::CausalTrace, without what is needed to make one.
struct TraceFigures {
  std::vector<double> effects;  // [layers]
  double clean = 0, corrupted = 0;
  std::int64_t facts = 0;
  std::int64_t peak = 0;
};

nlohmann::json document_of(const TraceFigures& trace);
TraceFigures trace_of(const nlohmann::json& document);

nlohmann::json document_of(const TrialSettings& settings);

// What was not measured is null.
nlohmann::json document_of(const TrialFigures& figures);
TrialFigures figures_of(const nlohmann::json& document);

}  // namespace anchorage::launch
