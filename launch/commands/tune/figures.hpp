// Settings and figures of trials as JSON: as they are kept and printed.
#pragma once

#include <nlohmann/json.hpp>

#include "launch/commands/tune/search.hpp"

namespace anchorage::launch {

nlohmann::json document_of(const TrialSettings& settings);

// What was not measured is null.
nlohmann::json document_of(const TrialFigures& figures);
TrialFigures figures_of(const nlohmann::json& document);

}  // namespace anchorage::launch
